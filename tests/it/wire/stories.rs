//! Stories of several steps: reconnects, races, writes in flight, power cycles.
//!
//! A story in `tests/golden/wire-stories.txt` begins with `==`, its section and its claim, on a clean table, with initiators of its own. Each line is
//! a step and, after ` = `, what is due:
//!
//! | step | does |
//! |---|---|
//! | `A REGISTER rk=0 sark=1` | PERSISTENT RESERVE OUT, as in `service-actions.tsv`; also `aptpl`, `port=N` |
//! | `A reads 0`, `A writes 0 aa` | READ or WRITE of a block full of one byte |
//! | `A begins w WRITE 0 aa` | a write that is let in and whose data wait for `A sends w` |
//! | `A begins w WRITE 0 aa now` | a write with its data; the array has it when the step is over |
//! | `A begins p ABORT ...`, `A begins reset LUN RESET` | an order or a function that is not waited for |
//! | `A answers w` | the answer; `nothing`: there is none by the time a ping has come back |
//! | `A cdb HEX`, `A cdb HEX HEX` | any command, with Data-Out; `..` in what is due is any byte |
//! | `A hears` | its unit attentions, sorted; `-`: none |
//! | `A login`, `A logout`, `A cut` | `login` takes no news; all other steps log a seat in at need, and take them |
//! | `A replaced` | whether the connection that `login` took the place of has been closed by the array |
//! | `A gone` | whether the array has closed its connection |
//! | `A manages LUN RESET` | a task management function; its response |
//! | `state`, `step`, `PRgeneration` | registrations and reservation; PRgeneration since the story began or `step` was last asked; its value |
//! | `power cycle`, `disk ...` | SIGKILL and start; an order to the array |

use super::lab::{BLOCK, Lab, words};
use crate::processes::initiator::{Initiator, from_hex, range};
use crate::support::root;
use std::collections::BTreeMap;

/// A story that is told.
struct Teller<'a> {
    lab: &'a mut Lab,
    tags: BTreeMap<String, u32>,
    old: BTreeMap<String, Initiator>,
    generation: u32,
}

impl Teller<'_> {
    fn step(&mut self, step: &str) -> String {
        match step {
            "state" => return self.lab.look().state,
            "PRgeneration" => return self.lab.look().generation.to_string(),
            "step" => {
                let before = std::mem::replace(&mut self.generation, self.lab.look().generation);
                return format!("+{}", self.generation.wrapping_sub(before));
            }
            "power cycle" => {
                self.lab.power_cycle(|_| {});
                return "up".to_owned();
            }
            order if order.starts_with("disk ") => return self.lab.array().order(order),
            _ => {}
        }
        let (seat, what) = step.split_once(' ').expect("a step says who and what");
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        match verb {
            "reads" => self.lab.read(seat, rest.parse().expect("a block has a number")),
            "writes" => {
                let (cdb, data) = write(rest);
                words(&self.lab.command(seat, &cdb, &data, 0))
            }
            "cdb" => {
                let (cdb, out) = rest.split_once(' ').unwrap_or((rest, ""));
                let (cdb, out) = (from_hex(cdb), from_hex(out));
                let expected = if out.is_empty() { 4096 } else { 0 };
                words(&self.lab.command(seat, &cdb, &out, expected))
            }
            "begins" => self.begin(seat, rest),
            "sends" => {
                let tag = self.tags[rest];
                self.lab.session(seat).hand_over(tag).expect("the connection stands");
                "sent".to_owned()
            }
            "answers" if rest.starts_with("reset") => {
                let tag = self.tags[rest];
                response_words(self.lab.session(seat).finish_managing(tag).expect("it is answered"))
            }
            "answers" => {
                let tag = self.tags[rest];
                words(&self.lab.session(seat).finish(tag).unwrap_or_else(|error| panic!("{step}: {error}")))
            }
            "hears" => {
                let heard = self.lab.hear(seat);
                if heard.is_empty() { "-".to_owned() } else { heard.join(" ") }
            }
            "login" => match self.lab.login(seat) {
                Ok(old) => {
                    self.old.extend(old.map(|old| (seat.to_owned(), old)));
                    "ok".to_owned()
                }
                Err(error) => error,
            },
            "logout" => {
                let response = self.lab.session(seat).logout().expect("it is answered");
                self.lab.cut(seat);
                response.to_string()
            }
            "cut" => {
                self.lab.cut(seat);
                "cut".to_owned()
            }
            "replaced" => self.old.get_mut(seat).expect("it was replaced").is_hung_up().to_string(),
            "gone" => {
                let gone = self.lab.session(seat).is_hung_up();
                self.lab.cut(seat);
                gone.to_string()
            }
            "manages" => self.manage(seat, rest),
            _ => self.lab.order(seat, what),
        }
    }

    fn begin(&mut self, seat: &str, rest: &str) -> String {
        let (name, what) = rest.split_once(' ').expect("what is begun has a name");
        let tag = match what.strip_prefix("WRITE ") {
            Some(rest) => {
                let (cdb, data) = write(rest);
                let session = self.lab.session(seat);
                if rest.ends_with("now") {
                    session.begin(&cdb, &data, 0)
                } else {
                    session.begin_without_data(&cdb, &data)
                }
            }
            None if name.starts_with("reset") => {
                let (function, reference) = self.function(what);
                self.lab.session(seat).begin_managing(function, reference)
            }
            None => {
                let (cdb, list) = self.lab.order_bytes(what);
                self.lab.session(seat).begin(&cdb, &list, 0)
            }
        };
        let tag = tag.expect("the connection stands");
        self.tags.insert(name.to_owned(), tag);
        // A ping behind it comes back when the array has taken it.
        let answered = self.lab.session(seat).is_answered(tag).expect("the connection stands");
        if answered { "answered" } else { "begun" }.to_owned()
    }

    fn manage(&mut self, seat: &str, what: &str) -> String {
        let (function, reference) = self.function(what);
        response_words(self.lab.session(seat).manage(function, reference).expect("it is answered"))
    }

    /// The code of a task management function, and the task that it refers to.
    fn function(&self, what: &str) -> (u8, u32) {
        match what {
            "ABORT TASK SET" => (2, u32::MAX),
            "CLEAR TASK SET" => (4, u32::MAX),
            "LUN RESET" => (5, u32::MAX),
            "WARM RESET" => (6, u32::MAX),
            "COLD RESET" => (7, u32::MAX),
            what => (1, self.tags[what.strip_prefix("ABORT TASK ").expect("a function")]),
        }
    }

    /// There is no answer to be had.
    fn says_nothing(&mut self, step: &str) -> bool {
        let (seat, name) = step.split_once(" answers ").expect("`nothing` is an answer");
        let tag = self.tags[name];
        !self.lab.session(seat).is_answered(tag).expect("the connection stands")
    }
}

fn response_words(response: u8) -> String {
    match response {
        0 => "complete".to_owned(),
        1 => "no such task".to_owned(),
        other => format!("response {other}"),
    }
}

/// Command and data of `LBA BYTE`.
fn write(rest: &str) -> ([u8; 10], [u8; BLOCK]) {
    let mut fields = rest.split(' ');
    let lba = fields.next().and_then(|lba| lba.parse().ok()).expect("a block has a number");
    let byte = fields.next().expect("a block has a byte");
    (range(0x2a, lba, 1), [from_hex(byte)[0]; BLOCK])
}

/// Whether an answer is the one that is due, where `..` is any byte and spaces are for the reader.
fn fits(got: &str, due: &str) -> bool {
    if got == due {
        return true;
    }
    let digits: String = due.split(' ').collect();
    digits.len() == got.len() && digits.chars().zip(got.chars()).all(|(due, got)| due == '.' || due == got)
}

/// Tells a story; what is wrong with it. The first wrong step ends it.
fn tell(lab: &mut Lab, lines: &[&str]) -> Option<String> {
    let generation = lab.look().generation;
    let mut teller = Teller { lab, tags: BTreeMap::new(), old: BTreeMap::new(), generation };
    for line in lines {
        let (step, due) = line.rsplit_once(" = ").map_or((*line, None), |(step, due)| (step, Some(due)));
        if due == Some("nothing") {
            if !teller.says_nothing(step) {
                return Some(format!("{line}\n    but it was answered"));
            }
            continue;
        }
        let got = teller.step(step);
        if let Some(due) = due.filter(|due| !fits(&got, due)) {
            return Some(format!("{step}\n    due: {due}\n    got: {got}"));
        }
    }
    None
}

#[test]
fn stories_end_as_the_standards_want_over_tcp() {
    let path = root().join("tests/golden/wire-stories.txt");
    let text = std::fs::read_to_string(path).expect("the stories are there");
    let mut stories: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("== "), stories.last_mut()) {
            (Some(title), _) => stories.push((title, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => panic!("a step before the first story: {line}"),
        }
    }
    let mut lab = Lab::new(2);
    let mut wrong = Vec::new();
    for (nth, (title, lines)) in stories.iter().enumerate() {
        lab.forget();
        // Initiators that the array has never seen.
        lab.prefix = format!("iqn.2026-11.example.test:{nth}-");
        lab.clean(&[]);
        wrong.extend(tell(&mut lab, lines).map(|what| format!("{title}\n    {what}")));
    }
    assert!(wrong.is_empty(), "{} of {} stories:\n{}", wrong.len(), stories.len(), wrong.join("\n"));
    for section in ["3.", "4 ", "6 ", "7 ", "8 ", "10 "] {
        assert!(stories.iter().any(|(title, _)| title.starts_with(section)), "no story of section {section}");
    }
    for case in 1..=18 {
        let told = |(title, _): &(&str, Vec<&str>)| title.starts_with(&format!("13.{case} "));
        assert!(case == 16 || stories.iter().any(told), "no story of 13.{case}");
    }
}

/// 13.16: no room for another registration changes nothing, and a full table can be emptied.
#[test]
fn a_full_table_can_still_be_emptied_over_tcp() {
    let folder = tempfile::TempDir::new().expect("a folder for temporary files");
    let scenario = std::fs::read_to_string(root().join("scenarios/three-nodes.toml")).expect("it is there");
    let small = scenario.replace("registrants = 64", "registrants = 2");
    assert_ne!(small, scenario);
    let path = folder.path().join("small.toml");
    std::fs::write(&path, small).expect("the folder can be written");
    let mut lab = Lab::with(1, &[&path.to_string_lossy()]);
    let lines = [
        "A REGISTER rk=0 sark=1 = GOOD",
        "A RESERVE rk=1 type=WERO = GOOD",
        "C REGISTER rk=0 sark=3 spec_i_pt=B = 05/55/04",
        "state = A:1|WERO A",
        "B REGISTER rk=0 sark=2 = GOOD",
        "step = +2",
        "C REGISTER rk=0 sark=3 = 05/55/04",
        "C IGNORE sark=3 = 05/55/04",
        "A MOVE rk=1 sark=3 to=C = 05/55/04",
        "state = A:1 B:2|WERO A",
        "step = +0",
        "B ABORT rk=2 sark=1 type=WERO = GOOD",
        "C REGISTER rk=0 sark=3 = GOOD",
        "A REGISTER rk=0 sark=1 = 06/2A/05",
        "A REGISTER rk=0 sark=1 = 05/55/04",
        "B CLEAR rk=2 = GOOD",
        "state = -|-",
    ];
    assert_eq!(tell(&mut lab, &lines), None);
}

/// 13.17: what a standby port is told about reservations holds on all ports, and it lets nobody at the medium. A path that the array
/// says is in standby (REPORT TARGET PORT GROUPS) answers everything else with 02/04/0B.
#[test]
fn a_standby_port_acts_on_the_shared_table_over_tcp() {
    let mut lab = Lab::with(2, &["three-nodes", "--standby", "2"]);
    let lines = [
        "A2 cdb a30a00000000000000ff0000 = ........ 00 .. 0001 00 .. .. 01 .... 0001 02 .. 0002 00 .. .. 01 .... 0002",
        "A2 REGISTER rk=0 sark=1 = GOOD",
        "A2 RESERVE rk=1 type=WE = GOOD",
        "state = A2:1|WE A2",
        "B writes 0 bb = CONFLICT",
        // Path before reservation: the holder's own is refused as well.
        "A2 writes 0 aa = 02/04/0B",
        "A2 reads 0 = 02/04/0B",
        "B2 reads 0 = 02/04/0B",
        "A2 cdb 000000000000 = 02/04/0B",
        "A writes 0 aa = CONFLICT",
        "B REGISTER rk=0 sark=2 = GOOD",
        "B2 cdb 5e010000000000001800 = ........ 00000010 0000000000000001 00000000 00 01 0000",
        "B2 REGISTER rk=0 sark=3 = GOOD",
        "B2 PREEMPT rk=3 sark=1 type=WERO = GOOD",
        "state = B:2 B2:3|WERO B2",
        // The type has changed.
        "B hears = 2A/04",
        "B writes 0 bb = GOOD",
        "A writes 0 aa = CONFLICT",
        "B2 CLEAR rk=3 = GOOD",
        "B hears = 2A/03",
        "state = -|-",
    ];
    assert_eq!(tell(&mut lab, &lines), None);
}

/// 3.1, REPLACE LOST RESERVATION, and 13.14: a store that does not read is not the same as no registrations.
#[test]
fn a_damaged_store_fails_closed_over_tcp() {
    let mut lab = Lab::new(1);
    assert_eq!(lab.order("A", "REGISTER rk=0 sark=1 aptpl"), "GOOD");
    assert_eq!(lab.order("A", "RESERVE rk=1 type=WE"), "GOOD");
    lab.power_cycle(|folder| {
        let path = folder.join("state");
        let stored = std::fs::read(&path).expect("APTPL has stored something");
        std::fs::write(&path, &stored[..stored.len() / 2]).expect("the folder can be written");
    });
    lab.login("B").expect("a login needs no table");
    let lines = [
        "B writes 0 aa = 06/29/00",
        "B writes 0 aa = 02/04/03",
        "B reads 0 = 02/04/03",
        "B REGISTER rk=0 sark=2 = 02/04/03",
        "B CLEAR rk=0 = 02/04/03",
        "B cdb 5e000000000000000800 = 02/04/03",
        // INQUIRY, REPORT LUNS and REQUEST SENSE say something all the same.
        "B cdb 120000000500 = .... .... ..",
        "B cdb a00000000000000000100000 = 0000000800000000 0000000000000000",
    ];
    let mut teller = Teller { lab: &mut lab, tags: BTreeMap::new(), old: BTreeMap::new(), generation: 0 };
    for line in lines {
        let (step, due) = line.split_once(" = ").expect("something is due");
        let got = teller.step(step);
        assert!(fits(&got, due), "{step}: {got}, but {due} is due");
    }
}
