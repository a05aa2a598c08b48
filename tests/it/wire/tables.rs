//! The golden tables, row by row, over TCP: what model and fabric are held against, the process is held against too.

use super::lab::{Lab, TYPES, words};
use crate::processes::initiator::Answer;
use crate::support::root;
use std::fs;

fn rows(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("tests/golden").join(file)).expect("the table is there");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Rows that bytes cannot say, each with its reason.
const UNSAYABLE: [(&str, &str); 2] = [
    ("all_tg_pt=?", "which target ports there are is no field of the list"),
    ("spec_i_pt=C all_tg_pt=B", "on two target ports C is registered on both: in `wire-stories.txt`"),
];

const SEATS: [&str; 4] = ["A", "B", "C", "A2"];

#[test]
fn service_actions_do_what_the_table_says_over_tcp() {
    let (mut two, mut one) = (Lab::new(2), Lab::new(1));
    let mut wrong = Vec::new();
    let mut told_rows = 0;
    for row in rows("service-actions.tsv") {
        let asked = &row[2];
        let unsayable = |(part, _): &&(&str, &str)| asked.starts_with("REGISTER") && asked.ends_with(part);
        if UNSAYABLE.iter().any(|pair| unsayable(&pair)) {
            continue;
        }
        told_rows += 1;
        // B as the sender's other path is its seat at the second target port.
        let registers = asked.starts_with("REGISTER") || asked.starts_with("IGNORE");
        let paths = registers && asked.contains("all_tg_pt=B");
        let cell = |cell: &str| if paths { cell.replace('B', "A2") } else { cell.to_owned() };
        let [before, who, after, news] = [&row[0], &row[1], &row[4], &row[6]].map(|text| cell(text));
        let first = |cell: &str| cell.split(" or ").next().expect("a cell").to_owned();
        let lonely = asked.contains("all_tg_pt=-");
        let lab = if lonely { &mut one } else { &mut two };
        // Where the bits mean nothing there is no list either.
        let order = if registers { asked.clone() } else { asked.replace("spec_i_pt=C", "spec_i_pt") };
        let seats = &SEATS[..if lonely { 3 } else { 4 }];
        lab.clean(seats);
        lab.bring(&before, false);
        let generation = lab.look().generation;
        let answer = lab.order(&who, &order);
        let seen = lab.look();
        let step = match seen.generation.wrapping_sub(generation) {
            0 => "0".to_owned(),
            step => format!("+{step}"),
        };
        let heard = |seat: &&str| lab.hear(seat).into_iter().map(|code| format!("{seat}:{code}")).collect();
        let heard: Vec<Vec<String>> = seats.iter().map(heard).collect();
        let heard = heard.concat();
        let heard = if heard.is_empty() { "-".to_owned() } else { heard.join(" ") };
        let got = [answer, seen.state, step, heard];
        let due = [first(&row[3]), first(&after), first(&row[5]), first(&news)];
        if got != due {
            wrong.push(format!("{row:?}\n  over TCP: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told_rows >= 115, "{told_rows} rows");
}

/// A command of the tables: CDB, Data-Out, bytes that may come back. The last cell is how it is refused by who does not know it.
type Sent = (Vec<u8>, Vec<u8>, u32);

/// 05/20/00: no such operation code. 05/24/00: no such service action.
const NO_CODE: &str = "05/20/00";
const NO_ACTION: &str = "05/24/00";

/// Every command of the tables, for block 4000, whose blocks are zeros; with what the array answers that does not know it.
fn sent(name: &str) -> (Sent, Option<&'static str>) {
    let read = |cdb: &[u8], expected: u32| ((cdb.to_vec(), Vec::new(), expected), None);
    let plain = |cdb: &[u8]| ((cdb.to_vec(), Vec::new(), 0), None);
    let write = |cdb: &[u8], out: Vec<u8>| ((cdb.to_vec(), out, 0), None);
    let unknown = |cdb: &[u8], refused| ((cdb.to_vec(), Vec::new(), 0), Some(refused));
    let zeros = |blocks: usize| vec![0; blocks * 512];
    match name {
        "INQUIRY" => read(&[0x12, 0, 0, 0, 36, 0], 36),
        "REPORT LUNS" => read(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], 16),
        "REQUEST SENSE" => read(&[0x03, 0, 0, 0, 18, 0], 18),
        "TEST UNIT READY" => plain(&[0; 6]),
        "LOG SENSE" => unknown(&[0x4d, 0, 0x40, 0, 0, 0, 0, 0, 64, 0], NO_CODE),
        "PERSISTENT RESERVE IN" => read(&[0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0], 8),
        // REGISTER AND IGNORE EXISTING KEY.
        "PERSISTENT RESERVE OUT" => {
            write(&[0x5f, 6, 0, 0, 0, 0, 0, 0, 24, 0], [&[0; 15][..], &[1], &[0; 8]].concat())
        }
        "READ CAPACITY" => read(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8),
        "REPORT TARGET PORT GROUPS" => read(&[0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], 64),
        "REPORT ALIASES" => unknown(&[0xa3, 0x0b, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_ACTION),
        "REPORT IDENTIFYING INFORMATION" => unknown(&[0xa3, 0x05, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_ACTION),
        "REPORT PRIORITY" => unknown(&[0xa3, 0x0e, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_ACTION),
        "REPORT TIMESTAMP" => unknown(&[0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_ACTION),
        "READ MEDIA SERIAL NUMBER" => unknown(&[0xab, 0x01, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_CODE),
        "ACCESS CONTROL IN" => unknown(&[0x86, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "ACCESS CONTROL OUT" => unknown(&[0x87, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "REPORT REFERRALS" => unknown(&[0x9e, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_ACTION),
        "START STOP UNIT (START=1, POWER CONDITION=0)" => plain(&[0x1b, 0, 0, 0, 1, 0]),
        "START STOP UNIT (otherwise)" => plain(&[0x1b, 0, 0, 0, 0, 0]),
        "PREVENT ALLOW MEDIUM REMOVAL (PREVENT=0)" => plain(&[0x1e, 0, 0, 0, 0, 0]),
        "PREVENT ALLOW MEDIUM REMOVAL (PREVENT≠0)" => plain(&[0x1e, 0, 0, 0, 1, 0]),
        "READ" => read(&[0x28, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0], 512),
        "VERIFY" => plain(&[0x2f, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0]),
        "PRE-FETCH" => plain(&[0x34, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0]),
        "GET LBA STATUS" => read(&[0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0, 0, 0, 24, 0, 0], 24),
        "READ DEFECT DATA" => unknown(&[0x37, 0, 0, 0, 0, 0, 0, 0, 64, 0], NO_CODE),
        "POPULATE TOKEN" => plain(&[0x83, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        "WRITE USING TOKEN" => plain(&[0x83, 0x11, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        "EXTENDED COPY" => plain(&[0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        "RECEIVE COPY RESULTS" => read(&[0x84, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], 64),
        "MODE SENSE" => read(&[0x1a, 0, 0x3f, 0, 255, 0], 255),
        "MODE SELECT" => plain(&[0x15, 0x10, 0, 0, 0, 0]),
        "READ BUFFER" => unknown(&[0x3c, 0, 0, 0, 0, 0, 0, 0, 4, 0], NO_CODE),
        "WRITE BUFFER" => unknown(&[0x3b, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "READ ATTRIBUTE" => unknown(&[0x8c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_CODE),
        "RECEIVE DIAGNOSTIC RESULTS" => unknown(&[0x1c, 1, 0, 0, 64, 0], NO_CODE),
        "SEND DIAGNOSTIC" => unknown(&[0x1d, 4, 0, 0, 0, 0], NO_CODE),
        "REPORT SUPPORTED OPERATION CODES" => read(&[0xa3, 0x0c, 1, 0x28, 0, 0, 0, 0, 0, 64, 0, 0], 64),
        "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS" => read(&[0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0], 4),
        "SECURITY PROTOCOL IN" => unknown(&[0xa2, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_CODE),
        "SECURITY PROTOCOL OUT" => unknown(&[0xb5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "MANAGEMENT PROTOCOL IN" => unknown(&[0xa3, 0x10, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], NO_ACTION),
        "WRITE" => write(&[0x2a, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0], zeros(1)),
        "WRITE AND VERIFY" => write(&[0x2e, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0], zeros(1)),
        "WRITE SAME" => write(&[0x41, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0], zeros(1)),
        "WRITE ATOMIC" => unknown(&[0x9c, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0, 0, 0, 1, 0, 0], NO_CODE),
        "ORWRITE" => write(&[0x8b, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0, 0, 0, 1, 0, 0], zeros(1)),
        "COMPARE AND WRITE" => write(&[0x89, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xa0, 0, 0, 0, 1, 0, 0], zeros(2)),
        // No descriptor.
        "UNMAP" => write(&[0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0], vec![0, 6, 0, 0, 0, 0, 0, 0]),
        "SYNCHRONIZE CACHE" => plain(&[0x35, 0, 0, 0, 0x0f, 0xa0, 0, 0, 1, 0]),
        "FORMAT UNIT" => unknown(&[0x04, 0, 0, 0, 0, 0], NO_CODE),
        "SANITIZE" => unknown(&[0x48, 1, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "WRITE LONG" => unknown(&[0x3f, 0, 0, 0, 0x0f, 0xa0, 0, 0, 0, 0], NO_CODE),
        "READ LONG" => unknown(&[0x3e, 0, 0, 0, 0x0f, 0xa0, 0, 0, 0, 0], NO_CODE),
        "REASSIGN BLOCKS" => unknown(&[0x07, 0, 0, 0, 0, 0], NO_CODE),
        "LOG SELECT" => unknown(&[0x4c, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "SET TARGET PORT GROUPS" => unknown(&[0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "SET TIMESTAMP" => unknown(&[0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NO_CODE),
        "RESERVE" => plain(&[0x16, 0, 0, 0, 0, 0]),
        "RELEASE" => plain(&[0x17, 0, 0, 0, 0, 0]),
        other => panic!("no command {other}"),
    }
}

/// `GOOD` whatever the data, `CONFLICT`, or the sense.
fn verdict(answer: &Answer) -> String {
    let said = words(answer);
    match answer.status {
        0x00 | 0x04 => "GOOD".to_owned(),
        _ => said,
    }
}

/// Section 5: every command under every type, of the holder, of a registrant and of a stranger.
#[test]
fn commands_meet_reservations_as_the_table_says_over_tcp() {
    let rows = rows("command-versus-reservation.tsv");
    let mut lab = Lab::new(1);
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (word, _) in TYPES {
        let all = word.ends_with("AR");
        // Columns of who is registered and of who is not.
        let columns = match word {
            "WE" => [1, 1],
            "EA" => [2, 2],
            _ if word.starts_with("WE") => [3, 4],
            _ => [3, 5],
        };
        lab.clean(&["A", "B", "C"]);
        lab.bring(&format!("A:1 B:2|{word} {}", if all { "*" } else { "A" }), false);
        for row in &rows {
            for (seat, column) in [("A", None), ("B", Some(columns[0])), ("C", Some(columns[1]))] {
                // A registrant of an all-registrants type is a holder.
                let column = column.filter(|_| !(all && seat == "B"));
                let allowed = column.is_none_or(|column| row[column] == "A");
                let ((cdb, out, expected), unknown) = sent(&row[0]);
                // A command that nobody knows is refused as such, not as a conflict.
                let due = unknown.unwrap_or(if allowed { "GOOD" } else { "CONFLICT" });
                let got = verdict(&lab.command(seat, &cdb, &out, expected));
                if got != due {
                    wrong.push(format!("{} of {seat} under {word} of A: {got}, but {due} is due", row[0]));
                }
                cells += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cells, 6 * 3 * rows.len());
}

/// Section 6: RESERVE and RELEASE of SPC-2, and what conflicts with them.
#[test]
fn the_legacy_reservation_does_what_the_table_says_over_tcp() {
    let seats = ["A", "B", "C"];
    let mut lab = Lab::new(1);
    let mut wrong = Vec::new();
    for row in rows("legacy-reservation.tsv") {
        let [before, holder, who, asked, answer, after, _clause] = &row[..] else {
            panic!("a row has seven cells: {row:?}")
        };
        lab.clean(&seats);
        lab.bring(before, false);
        if holder != "-" {
            let ((cdb, out, expected), _) = sent("RESERVE");
            assert_eq!(verdict(&lab.command(holder, &cdb, &out, expected)), "GOOD");
        }
        let ((cdb, out, expected), unknown) = sent(asked);
        let got = verdict(&lab.command(who, &cdb, &out, expected));
        let first = answer.split(" or ").next().expect("a cell");
        let due = unknown.unwrap_or(first);
        // Who holds it can read, all others cannot. Beside registrations nobody can: then PERSISTENT RESERVE IN conflicts with nothing.
        let left = if before == "-|-" {
            let reads: Vec<&str> = seats.into_iter().filter(|seat| lab.read(seat, 0) == "00").collect();
            if reads.len() == seats.len() { "-".to_owned() } else { reads.concat() }
        } else {
            assert_eq!(lab.look().state, *before);
            "-".to_owned()
        };
        if got != due || left != *after {
            wrong.push(format!("{row:?}\n  over TCP: {got}, held by {left}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a row of the table of resets is about.
fn reset(lab: &mut Lab, what: &str, task: u32) {
    let function = match what {
        "ABORT TASK" => 1,
        "ABORT TASK SET" => 2,
        "CLEAR TASK SET" => 4,
        "LOGICAL UNIT RESET" => 5,
        "TARGET WARM RESET" => 6,
        "nexus loss of A" => {
            lab.cut("A");
            // The array has noticed once it has one connection less.
            while !lab.array().order("status").contains("connections=3 ") {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            return lab.login("A").map(drop).expect("it may log in again");
        }
        "logout of A" => {
            assert_eq!(lab.session("A").logout().expect("it is answered"), 0);
            lab.cut("A");
            return lab.login("A").map(drop).expect("it may log in again");
        }
        "power cycle" | "power cycle, APTPL" => {
            lab.power_cycle(|_| {});
            return ["A", "B", "C"].iter().for_each(|seat| drop(lab.login(seat).expect("it may log in")));
        }
        other => panic!("no reset {other}"),
    };
    // Only ABORT TASK refers to a task.
    let reference = if function == 1 { task } else { u32::MAX };
    assert_eq!(lab.session("B").manage(function, reference).expect("it is answered"), 0, "{what}");
}

/// Section 7: what task management, nexus loss, logout and power cycles leave; A and B have a write whose data are still due.
#[test]
fn resets_leave_what_the_table_says_over_tcp() {
    let rows = rows("resets.tsv");
    assert_eq!(rows.len(), 9);
    // The guests of the scenario, whom the array knows: they hear of the power on by its own code.
    let mut lab = Lab::new(1);
    lab.prefix = String::new();
    let mut wrong = Vec::new();
    for row in &rows {
        for legacy in [false, true] {
            let first = |cell: usize| row[cell].split(" or ").next().expect("a cell");
            lab.clean(&["A", "B", "C"]);
            let state = "A:1 B:2|WERO A";
            if !legacy {
                lab.bring(state, row[0].ends_with("APTPL"));
            }
            let write = |lab: &mut Lab, seat: &str, lba: u32| {
                let cdb = crate::processes::initiator::range(0x2a, lba, 1);
                lab.session(seat).begin_without_data(&cdb, &[0xee; 512]).expect("the array asks for the data")
            };
            let task_b = write(&mut lab, "B", 1);
            if legacy {
                let ((cdb, out, expected), _) = sent("RESERVE");
                assert_eq!(verdict(&lab.command("A", &cdb, &out, expected)), "GOOD");
            }
            let task_a = write(&mut lab, "A", 0);
            reset(&mut lab, &row[0], task_b);
            // A session that is not the old one has nothing to hand over.
            let sessions_new = row[0].starts_with("power");
            let old = [!(sessions_new || row[0].ends_with("of A")), !sessions_new];
            for (seat, task, old) in [("A", task_a, old[0]), ("B", task_b, old[1])] {
                if old {
                    let session = lab.session(seat);
                    session.hand_over(task).expect("the connection stands");
                    session.ping(b"").expect("it is answered");
                }
            }
            let looked = lab.session("O").read(7, 1).expect("it is answered");
            let kept_legacy = legacy && words(&looked) == "CONFLICT";
            let news: Vec<String> = ["A", "B", "C"]
                .into_iter()
                .map(|seat| {
                    // A conflict goes before an attention: while RESERVE is in force only its holder hears anything.
                    let silent = kept_legacy && seat != "A";
                    let heard = if silent { Vec::new() } else { lab.hear(seat) };
                    if heard.is_empty() { "-".to_owned() } else { heard.join(" ") }
                })
                .collect();
            let lives = |lab: &mut Lab, lba: u32| if lab.read("A", lba) == "ee" { "lives" } else { "ends" };
            let tasks = [lives(&mut lab, 0), lives(&mut lab, 1)];
            let mut due = vec![first(6), first(7)];
            let mut got = tasks.to_vec();
            for (at, heard) in news.iter().enumerate() {
                // What C and B hear shows only where they are let through.
                if !(kept_legacy && at > 0) {
                    due.push(first(1 + at));
                    got.push(heard);
                }
            }
            if legacy {
                due.push(first(4));
                got.push(if kept_legacy { "kept" } else { "released" });
            } else {
                due.push(first(5));
                got.push(if lab.look().state == state { "kept" } else { "cleared" });
            }
            if got != due {
                wrong.push(format!("{row:?}, legacy {legacy}\n  over TCP: {got:?}\n  due: {due:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
