//! Bytes from strangers: whatever they are, they are decoded or refused.

use crate::scsi::cdb::Cdb;
use crate::scsi::command::{Answer, Ports, incoming};
use crate::scsi::pr::ParameterList;
use crate::scsi::provisioning;
use crate::scsi::record;
use crate::scsi::sense::SenseData;
use crate::scsi::transport_id::TransportId;
use alloc::vec::Vec;
use proptest::prelude::*;
use redline_vocab::{Command, Extent, Lba, PrIn, ServiceAction};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    // Small values are frequent, so that lengths inside come near the truth.
    prop::collection::vec(prop_oneof![3 => 0..64_u8, 1 => any::<u8>()], 0..160)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// A CDB that is read is read the same again after it was written.
    #[test]
    fn any_cdb_is_read_or_refused(mut bytes: [u8; 16], opcode in 0..=255_u8) {
        bytes[0] = opcode;
        if let Ok(cdb) = Cdb::decode(&bytes) {
            prop_assert_eq!(Cdb::decode(&cdb.encode()), Ok(cdb));
        }
    }

    #[test]
    fn any_parameter_list_is_read_or_refused(bytes in bytes()) {
        for action in ServiceAction::ALL {
            let _ = ParameterList::decode(action, &bytes);
        }
        let _ = TransportId::decode(&bytes);
        let _ = SenseData::decode(&bytes);
        let _ = provisioning::decode_unmap(&bytes);
        let _ = provisioning::decode_lba_status(&bytes);
        let _ = record::decode(&bytes, Lba(0));
    }

    #[test]
    fn any_answer_is_read_or_refused(status: u8, sense in bytes(), data in bytes()) {
        let commands = PrIn::ALL.into_iter().map(Command::PrIn);
        let read = Command::Read(Extent { lba: Lba(0), blocks: 1 });
        for command in commands.chain([read]) {
            let answer = Answer { status, sense: &sense, data: &data };
            let _ = incoming(&command, answer, 32, Ports(&[]));
        }
    }
}
