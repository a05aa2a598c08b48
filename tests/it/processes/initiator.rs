//! The smallest initiator: bytes by hand, one command at a time.
//!
//! It shares nothing with `fabric`, so that a mistake in the encodings there cannot hide here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A session, or any connection to a portal.
pub struct Initiator {
    stream: TcpStream,
    cmd_sn: u32,
    exp_stat_sn: u32,
    tag: u32,
}

/// What came of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub status: u8,
    /// Sense key, additional sense code and qualifier.
    pub sense: Option<(u8, u8, u8)>,
    pub data: Vec<u8>,
}

/// SCSI status codes.
pub const GOOD: u8 = 0x00;
pub const CHECK_CONDITION: u8 = 0x02;

/// Nobody on loopback is slower than that, except for one that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

impl Initiator {
    /// A connection without a login.
    pub fn connect(portal: SocketAddr) -> io::Result<Initiator> {
        let stream = TcpStream::connect_timeout(&portal, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Initiator { stream, cmd_sn: 0xffff_fff0, exp_stat_sn: 0, tag: 1 })
    }

    /// A session of this initiator with the target; `isid` tells its ports apart.
    pub fn login(portal: SocketAddr, name: &str, isid: u16, target: &str) -> io::Result<Initiator> {
        let mut session = Initiator::connect(portal)?;
        let keys = format!(
            "InitiatorName={name}\0TargetName={target}\0SessionType=Normal\0HeaderDigest=None\0DataDigest=None\0\
             InitialR2T=No\0ImmediateData=Yes\0MaxRecvDataSegmentLength=262144\0MaxBurstLength=262144\0\
             FirstBurstLength=65536\0MaxConnections=1\0ErrorRecoveryLevel=0\0"
        );
        let mut header = session.header(0x43, 0x87);
        header[8] = 0x80;
        header[12..14].copy_from_slice(&isid.to_be_bytes());
        session.send(header, keys.as_bytes())?;
        let (answer, _) = session.receive()?;
        let class = u16::from_be_bytes([answer[36], answer[37]]);
        if answer[0] != 0x23 || class != 0 {
            return Err(io::Error::other(format!("login refused: {class:04x}")));
        }
        Ok(session)
    }

    /// Sends a command and waits for its answer; Data-Out goes as immediate data.
    pub fn command(&mut self, cdb: &[u8], out: &[u8], expected: u32) -> io::Result<Answer> {
        let direction = if !out.is_empty() {
            0x20
        } else if expected > 0 {
            0x40
        } else {
            0
        };
        let mut header = self.header(0x01, 0x80 | direction);
        let length = if out.is_empty() { expected } else { out.len() as u32 };
        header[20..24].copy_from_slice(&length.to_be_bytes());
        header[32..32 + cdb.len()].copy_from_slice(cdb);
        self.cmd_sn = self.cmd_sn.wrapping_add(1);
        self.send(header, out)?;
        let mut data = Vec::new();
        loop {
            let (answer, segment) = self.receive()?;
            match answer[0] {
                0x25 => {
                    data.extend(segment);
                    if answer[1] & 1 != 0 {
                        return Ok(Answer { status: answer[3], sense: None, data });
                    }
                }
                0x21 => {
                    let sense = segment.get(2..).filter(|sense| sense.len() >= 14);
                    let sense = sense.map(|sense| (sense[2] & 0xf, sense[12], sense[13]));
                    return Ok(Answer { status: answer[3], sense, data });
                }
                // The target asks whether we are there.
                0x20 if answer[16..20] == [0xff; 4] => {
                    let mut pong = self.header(0x40, 0x80);
                    pong[16..20].copy_from_slice(&[0xff; 4]);
                    pong[20..24].copy_from_slice(&answer[20..24]);
                    self.send(pong, &[])?;
                }
                other => return Err(io::Error::other(format!("a PDU {other:02x} where an answer is due"))),
            }
        }
    }

    /// The same again for as long as a unit attention comes instead.
    pub fn settled(&mut self, cdb: &[u8], out: &[u8], expected: u32) -> io::Result<Answer> {
        loop {
            let answer = self.command(cdb, out, expected)?;
            if !matches!(answer.sense, Some((6, _, _))) {
                return Ok(answer);
            }
        }
    }

    /// PERSISTENT RESERVE OUT.
    pub fn reserve_out(&mut self, action: u8, kind: u8, keys: [u64; 2], aptpl: bool) -> io::Result<Answer> {
        let mut list = [0; 24];
        list[..8].copy_from_slice(&keys[0].to_be_bytes());
        list[8..16].copy_from_slice(&keys[1].to_be_bytes());
        list[20] = u8::from(aptpl);
        self.settled(&[0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0], &list, 0)
    }

    /// The registered keys, sorted.
    pub fn keys(&mut self) -> io::Result<Vec<u64>> {
        let answer = self.settled(&[0x5e, 0, 0, 0, 0, 0, 0, 0xff, 0xf0, 0], &[], 0xfff0)?;
        assert_eq!(answer.status, GOOD, "READ KEYS: {answer:?}");
        let keys = answer.data[8..]
            .chunks_exact(8)
            .map(|key| u64::from_be_bytes(key.try_into().expect("eight bytes")));
        let mut keys: Vec<u64> = keys.collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// The holder's key and the type of the reservation.
    pub fn reservation(&mut self) -> io::Result<Option<(u64, u8)>> {
        let answer = self.settled(&[0x5e, 1, 0, 0, 0, 0, 0, 0, 24, 0], &[], 24)?;
        assert_eq!(answer.status, GOOD, "READ RESERVATION: {answer:?}");
        let held = answer.data.get(8..24);
        Ok(held.map(|held| (u64::from_be_bytes(held[..8].try_into().expect("eight bytes")), held[13] & 0xf)))
    }

    /// WRITE(10) of whole blocks.
    pub fn write(&mut self, lba: u32, blocks: &[u8]) -> io::Result<Answer> {
        let mut cdb = [0x2a, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        cdb[2..6].copy_from_slice(&lba.to_be_bytes());
        cdb[7..9].copy_from_slice(&((blocks.len() / 512) as u16).to_be_bytes());
        self.settled(&cdb, blocks, 0)
    }

    /// READ(10).
    pub fn read(&mut self, lba: u32, blocks: u16) -> io::Result<Answer> {
        let mut cdb = [0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        cdb[2..6].copy_from_slice(&lba.to_be_bytes());
        cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
        self.settled(&cdb, &[], u32::from(blocks) * 512)
    }

    /// SYNCHRONIZE CACHE(10) over everything.
    pub fn flush(&mut self) -> io::Result<Answer> {
        self.settled(&[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], 0)
    }

    /// Sends what no initiator would.
    pub fn garbage(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits until the other side hangs up.
    pub fn is_hung_up(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn header(&mut self, opcode: u8, flags: u8) -> [u8; 48] {
        let mut header = [0; 48];
        header[0] = opcode;
        header[1] = flags;
        header[16..20].copy_from_slice(&self.tag.to_be_bytes());
        header[24..28].copy_from_slice(&self.cmd_sn.to_be_bytes());
        header[28..32].copy_from_slice(&self.exp_stat_sn.to_be_bytes());
        self.tag += 1;
        header
    }

    fn send(&mut self, mut header: [u8; 48], data: &[u8]) -> io::Result<()> {
        header[5..8].copy_from_slice(&(data.len() as u32).to_be_bytes()[1..]);
        let mut pdu = header.to_vec();
        pdu.extend_from_slice(data);
        pdu.resize(pdu.len().next_multiple_of(4), 0);
        self.stream.write_all(&pdu)
    }

    fn receive(&mut self) -> io::Result<([u8; 48], Vec<u8>)> {
        let mut header = [0; 48];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let mut data = vec![0; length.next_multiple_of(4)];
        self.stream.read_exact(&mut data)?;
        data.truncate(length);
        self.exp_stat_sn =
            u32::from_be_bytes([header[24], header[25], header[26], header[27]]).wrapping_add(1);
        Ok((header, data))
    }
}
