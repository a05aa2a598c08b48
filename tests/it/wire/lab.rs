//! An array process, and initiator ports that do to it what a table or a story says, in bytes of our own.
//!
//! A seat is an initiator port at a target port, and so one I_T nexus. Its word is a letter for the initiator's name, `2` if it logs in at the second
//! target port, and a `'` for each further ISID: `A`, `A2`, `A'`. `O` only looks on: it never registers, except to clear the table.

use crate::peers::array::{Array, TARGET};
use crate::processes::initiator::{Answer, GOOD, Initiator, Login, range};
use std::collections::BTreeMap;
use tempfile::TempDir;

/// Types of reservations, by their code.
pub const TYPES: [(&str, u8); 6] = [("WE", 1), ("EA", 3), ("WERO", 5), ("EARO", 6), ("WEAR", 7), ("EAAR", 8)];

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const LEGACY_RELEASE: [u8; 6] = [0x17, 0, 0, 0, 0, 0];

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// An array with initiators.
pub struct Lab {
    folder: TempDir,
    portals: u8,
    more: Vec<String>,
    array: Option<Array>,
    sessions: BTreeMap<String, Initiator>,
    /// Goes before the letter in an initiator's name.
    pub prefix: String,
}

/// Registrations and reservation as READ FULL STATUS, READ RESERVATION and READ KEYS show them.
pub struct Seen {
    /// As in `A:1 B:2|WERO A`.
    pub state: String,
    pub generation: u32,
}

impl Lab {
    /// An array with so many target ports, on the scenario with three nodes.
    pub fn new(portals: u8) -> Lab {
        Lab::with(portals, &["three-nodes"])
    }

    /// An array with these arguments.
    pub fn with(portals: u8, more: &[&str]) -> Lab {
        let folder = TempDir::new().expect("a folder for temporary files");
        let more = more.iter().map(|one| (*one).to_owned()).collect();
        let prefix = "iqn.2026-11.example.test:".to_owned();
        let mut lab = Lab { folder, portals, more, array: None, sessions: BTreeMap::new(), prefix };
        lab.power_on();
        lab
    }

    fn power_on(&mut self) {
        let more: Vec<&str> = self.more.iter().map(String::as_str).collect();
        self.array = Some(Array::with_portals(&self.folder, self.portals, &more));
    }

    /// SIGKILL, something to do while there is no power, and up again.
    pub fn power_cycle(&mut self, meanwhile: impl FnOnce(&std::path::Path)) {
        self.array.take().expect("it runs").kill();
        self.sessions.clear();
        meanwhile(&self.folder.path().join("array"));
        self.power_on();
    }

    pub fn array(&mut self) -> &mut Array {
        self.array.as_mut().expect("it runs")
    }

    /// Name, ISID and number of the target port, from 0.
    fn port(&self, seat: &str) -> (String, [u8; 6], usize) {
        let letter = seat[..1].to_lowercase();
        let name = match (&*self.prefix, seat.as_bytes()[0]) {
            // The guests of the scenario.
            ("", letter @ b'A'..=b'C') => format!("iqn.2026-11.example.redline:node-{}", letter - b'A'),
            (prefix, _) => format!("{prefix}{letter}"),
        };
        let life = seat.matches('\'').count() as u8;
        (name, [0x80, 0, 0, 0, 0, life], usize::from(seat.contains('2')))
    }

    /// A TransportID of format 01b (scsi-pr.md 2).
    pub fn transport_id(&self, seat: &str) -> Vec<u8> {
        let (name, isid, _) = self.port(seat);
        let isid: String = isid.iter().map(|byte| format!("{byte:02x}")).collect();
        transport_id(0x45, &format!("{name},i,0x{isid}"))
    }

    /// Logs in. A session that the seat has is reinstated, and its old connection is given back.
    pub fn login(&mut self, seat: &str) -> Result<Option<Initiator>, String> {
        let (name, isid, portal) = self.port(seat);
        let portal = self.array().portals[portal];
        let login = Login { name: &name, isid, target: TARGET, tsih: 0, cid: 0, account: None, retain: 0 };
        let session = Initiator::log_in(portal, &login).map_err(|error| error.to_string())?;
        Ok(self.sessions.insert(seat.to_owned(), session))
    }

    /// The session of a seat; one that has none logs in and takes the news.
    pub fn session(&mut self, seat: &str) -> &mut Initiator {
        if !self.sessions.contains_key(seat) {
            self.login(seat).unwrap_or_else(|error| panic!("{seat}: {error}"));
            self.hear(seat);
        }
        self.sessions.get_mut(seat).expect("it was made")
    }

    /// The session goes away without a word: the connection closes.
    pub fn cut(&mut self, seat: &str) {
        self.sessions.remove(seat);
    }

    /// All sessions go away without a word, and the array has noticed.
    pub fn forget(&mut self) {
        self.sessions.clear();
        while !self.array().order("status").contains("connections=0 ") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Whether the seat's target port is in standby.
    fn is_standby(&self, seat: &str) -> bool {
        seat.contains('2') && self.more.windows(2).any(|two| two == ["--standby", "2"])
    }

    /// TEST UNIT READY until it is GOOD, or on a standby path 02/04/0B: the additional sense codes of the unit attentions, sorted.
    pub fn hear(&mut self, seat: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let answer = self.command(seat, &TEST_UNIT_READY, &[], 0);
            match answer.sense {
                Some((6, code, qualifier)) => heard.push(format!("{code:02X}/{qualifier:02X}")),
                sense if self.is_standby(seat) => {
                    assert_eq!(sense, Some((2, 0x04, 0x0b)), "TEST UNIT READY: {answer:?}");
                    heard.sort_unstable();
                    return heard;
                }
                _ => {
                    assert_eq!(answer.status, GOOD, "TEST UNIT READY: {answer:?}");
                    heard.sort_unstable();
                    return heard;
                }
            }
            assert!(heard.len() < 10, "unit attentions without end: {heard:?}");
        }
    }

    pub fn command(&mut self, seat: &str, cdb: &[u8], out: &[u8], expected: u32) -> Answer {
        let answer = self.session(seat).command(cdb, out, expected);
        answer.unwrap_or_else(|error| panic!("{seat}: {cdb:02x?}: {error}"))
    }

    /// PERSISTENT RESERVE OUT in words, as in `PREEMPT rk=2 sark=1 type=EA`; its answer in words.
    pub fn order(&mut self, seat: &str, order: &str) -> String {
        let (cdb, list) = self.order_bytes(order);
        words(&self.command(seat, &cdb, &list, 0))
    }

    /// CDB and parameter list (scsi-pr.md 2).
    pub fn order_bytes(&self, order: &str) -> ([u8; 10], Vec<u8>) {
        let mut fields = order.split(' ');
        let action = match fields.next().expect("an order has a name") {
            "REGISTER" => 0,
            "RESERVE" => 1,
            "RELEASE" => 2,
            "CLEAR" => 3,
            "PREEMPT" => 4,
            "ABORT" => 5,
            "IGNORE" => 6,
            "MOVE" => 7,
            "LOST" => 8,
            other => panic!("no service action {other}"),
        };
        let moves = action == 7;
        let mut list = vec![0; 24];
        let mut scope_and_type = 0;
        for field in fields {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let number = || value.parse::<u64>().unwrap_or_else(|_| panic!("{field} has no number"));
            match name {
                "rk" => list[..8].copy_from_slice(&number().to_be_bytes()),
                "sark" => list[8..16].copy_from_slice(&number().to_be_bytes()),
                "type" => {
                    let named = TYPES.iter().find(|(word, _)| *word == value);
                    scope_and_type |= named.map_or_else(|| number() as u8, |(_, code)| *code);
                }
                "scope" => scope_and_type |= (number() as u8) << 4,
                "aptpl" if moves => list[17] |= 1,
                "unreg" => list[17] |= 2,
                "aptpl" => list[20] |= 1,
                "all_tg_pt" => list[20] |= 4,
                // The bit alone, without a list.
                "spec_i_pt" if value.is_empty() => list[20] |= 8,
                "spec_i_pt" => {
                    list[20] |= 8;
                    let ids: Vec<u8> = value.split(',').flat_map(|seat| self.listed(seat)).collect();
                    list.extend_from_slice(&(ids.len() as u32).to_be_bytes());
                    list.extend(ids);
                }
                "to" => {
                    list[18..20].copy_from_slice(&(self.port(value).2 as u16 + 1).to_be_bytes());
                    list.extend(self.listed(value));
                }
                "port" => list[18..20].copy_from_slice(&(number() as u16).to_be_bytes()),
                _ => panic!("no field {field}"),
            }
        }
        if moves {
            if list.len() == 24 {
                list.extend(self.listed("?"));
            }
            let length = list.len() as u32 - 24;
            list[20..24].copy_from_slice(&length.to_be_bytes());
        }
        let [a, b, c, d] = (list.len() as u32).to_be_bytes();
        ([0x5f, action, scope_and_type, 0, 0, a, b, c, d, 0], list)
    }

    /// What a list has for a seat; `?` is a TransportID of another protocol, `long` one with a name that is too long, `-` nothing.
    fn listed(&self, seat: &str) -> Vec<u8> {
        match seat {
            "-" => Vec::new(),
            "?" => transport_id(0x46, "50:00:00:00:00:00:00:01"),
            "long" => transport_id(0x05, &format!("iqn.2026-11.example:{}", "x".repeat(300))),
            seat => self.transport_id(seat),
        }
    }

    /// What READ FULL STATUS, READ RESERVATION and READ KEYS show; they must agree.
    pub fn look(&mut self) -> Seen {
        let full = self.prin(3);
        let (keys, held) = (self.prin(0), self.prin(1));
        let generation = number(&full, 0, 4) as u32;
        assert!(keys[..4] == full[..4] && held[..4] == full[..4], "one PRGENERATION");
        let mut entries = Vec::new();
        let mut at = 8;
        while at < full.len() {
            let length = 24 + number(&full, at + 20, 4) as usize;
            let entry = &full[at..at + length];
            let seat = self.seat_of(&entry[24..], number(entry, 18, 2));
            let holds = entry[12] & 1 != 0;
            entries.push((seat, number(entry, 0, 8), holds.then_some(entry[13])));
            at += length;
        }
        entries.sort();
        let mut listed: Vec<u64> = (8..keys.len()).step_by(8).map(|at| number(&keys, at, 8)).collect();
        listed.sort_unstable();
        let mut own: Vec<u64> = entries.iter().map(|entry| entry.1).collect();
        own.sort_unstable();
        assert_eq!(listed, own, "READ KEYS and READ FULL STATUS agree");
        let registered: Vec<String> = entries.iter().map(|(seat, key, _)| format!("{seat}:{key}")).collect();
        let registered = if registered.is_empty() { "-".to_owned() } else { registered.join(" ") };
        let held = held_words(&held, &entries);
        Seen { state: format!("{registered}|{held}"), generation }
    }

    fn prin(&mut self, action: u8) -> Vec<u8> {
        let cdb = [0x5e, action, 0, 0, 0, 0, 0, 0x20, 0, 0];
        let answer = self.session("O").settled(&cdb, &[], 0x2000).expect("it is answered");
        assert_eq!(answer.status, GOOD, "PERSISTENT RESERVE IN {action}: {answer:?}");
        let length = number(&answer.data, 4, 4) as usize;
        assert_eq!(answer.data.len(), 8 + length, "ADDITIONAL LENGTH");
        answer.data
    }

    /// The seat of a TransportID, byte by byte, at a relative target port.
    fn seat_of(&self, id: &[u8], relative: u64) -> String {
        let letters = ["A", "B", "C", "D", "O"];
        let all = letters.iter().flat_map(|letter| ["", "'", "''"].map(|lives| (letter, lives)));
        let mut named = all.filter(|(letter, lives)| self.transport_id(&format!("{letter}{lives}")) == id);
        let (letter, lives) = named.next().unwrap_or_else(|| panic!("whose TransportID is {id:02x?}?"));
        let portal = match relative {
            1 => "",
            2 => "2",
            other => panic!("no relative target port {other}"),
        };
        format!("{letter}{portal}{lives}")
    }

    /// No registration, no reservation, no news for these seats, and zeros in the first blocks.
    pub fn clean(&mut self, seats: &[&str]) {
        for seat in seats {
            // GOOD, or a conflict with registrations.
            self.session(seat).settled(&LEGACY_RELEASE, &[], 0).expect("it is answered");
        }
        let looker = self.session("O");
        for (action, keys) in [(6, [0, 0xfff]), (3, [0xfff, 0])] {
            let answer = looker.reserve_out(action, 0, keys, false).expect("it is answered");
            assert_eq!(answer.status, GOOD, "{answer:?}");
        }
        let zeros = looker.write(0, &[0; 8 * BLOCK]).expect("it is answered");
        assert_eq!(zeros.status, GOOD, "{zeros:?}");
        seats.iter().for_each(|seat| drop(self.hear(seat)));
        assert_eq!(self.look().state, "-|-");
    }

    /// Brings a clean table into a state, and takes the news of it.
    pub fn bring(&mut self, state: &str, aptpl: bool) {
        let (registered, held) = state.split_once('|').expect("a state has two parts");
        let aptpl = if aptpl { " aptpl" } else { "" };
        let mut first = None;
        let mut seats = BTreeMap::new();
        for word in registered.split(' ').filter(|word| *word != "-") {
            let (seat, key) = word.split_once(':').expect("a registration has a key");
            assert_eq!(self.order(seat, &format!("IGNORE sark={key}{aptpl}")), "GOOD");
            first = first.or(Some(seat));
            seats.insert(seat, key);
        }
        if let Some((kind, holder)) = held.split_once(' ') {
            let holder = if holder == "*" { first.expect("somebody is registered") } else { holder };
            let order = format!("RESERVE rk={} type={kind}", seats[holder]);
            assert_eq!(self.order(holder, &order), "GOOD");
        }
        for seat in seats.keys() {
            self.hear(seat);
        }
        assert_eq!(self.look().state, state);
    }

    /// READ(10) of a block: its bytes, which must be all the same, or what was answered instead.
    pub fn read(&mut self, seat: &str, lba: u32) -> String {
        let answer = self.command(seat, &range(0x28, lba, 1), &[], BLOCK as u32);
        if answer.status != GOOD {
            return words(&answer);
        }
        let byte = answer.data[0];
        assert_eq!(answer.data, [byte; BLOCK], "block {lba} is torn");
        format!("{byte:02x}")
    }
}

/// READ RESERVATION in words: the type and the holder, `*` where every registrant is one.
fn held_words(held: &[u8], entries: &[(String, u64, Option<u8>)]) -> String {
    let holders: Vec<_> = entries.iter().filter(|entry| entry.2.is_some()).collect();
    if held.len() == 8 {
        assert!(holders.is_empty(), "READ FULL STATUS shows holders of nothing: {entries:?}");
        return "-".to_owned();
    }
    let (key, scope_and_type) = (number(held, 8, 8), held[21]);
    let (word, _) = TYPES.iter().find(|(_, code)| *code == scope_and_type).expect("scope 0 and a type");
    assert!(holders.iter().all(|entry| entry.2 == Some(scope_and_type)), "one type: {entries:?}");
    if word.ends_with("AR") {
        assert_eq!((key, holders.len()), (0, entries.len()), "every registrant holds: {entries:?}");
        return format!("{word} *");
    }
    let [holder] = &holders[..] else { panic!("one holder: {entries:?}") };
    assert_eq!(key, holder.1, "the holder's key");
    format!("{word} {}", holder.0)
}

/// An answer in words: `GOOD` with data in hexadecimal digits, `CONFLICT`, or sense key and codes as in `05/24/00`.
pub fn words(answer: &Answer) -> String {
    match (answer.status, answer.sense) {
        (0x00, None) if answer.data.is_empty() => "GOOD".to_owned(),
        (0x00, None) => answer.data.iter().map(|byte| format!("{byte:02x}")).collect(),
        (0x02, Some((key, code, qualifier))) => {
            assert_eq!(answer.data, [0_u8; 0], "no data beside sense data");
            format!("{key:02X}/{code:02X}/{qualifier:02X}")
        }
        // Status alone: no sense data, no data (scsi-pr.md 3).
        (0x04, None) if answer.data.is_empty() => "CONDITION MET".to_owned(),
        (0x18, None) if answer.data.is_empty() => "CONFLICT".to_owned(),
        _ => panic!("an answer that no standard knows: {answer:?}"),
    }
}

fn transport_id(format: u8, text: &str) -> Vec<u8> {
    let mut id = vec![format, 0, 0, 0];
    id.extend_from_slice(text.as_bytes());
    id.push(0);
    id.resize(id.len().next_multiple_of(4).max(24), 0);
    let length = id.len() as u16 - 4;
    id[2..4].copy_from_slice(&length.to_be_bytes());
    id
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
