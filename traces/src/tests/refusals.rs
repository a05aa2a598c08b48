//! A bad trace is refused with the place, the reason, and what was expected.

use super::sample;
use crate::{Class, Error, Reader, Visibility};

/// Reads to the first error.
fn first_error(text: &[u8]) -> Error {
    match Reader::new(text, "t.ndjson") {
        Err(error) => error,
        Ok(reader) => reader.filter_map(Result::err).next().expect("the trace should have been refused"),
    }
}

/// Replaces text on one line of the sample (counted from 1) and expects this message.
fn check_line(line: usize, from: &str, to: &str, message: &str) {
    let mut lines = sample::lines();
    assert!(lines[line - 1].contains(from), "line {line} has no {from}: {}", lines[line - 1]);
    lines[line - 1] = lines[line - 1].replacen(from, to, 1);
    let error = first_error((lines.join("\n") + "\n").as_bytes());
    assert_eq!(error.to_string(), message);
    assert_eq!(error.class(), Class::Malformed);
}

/// Rearranges the lines of the sample and expects this message.
fn check_lines(change: impl FnOnce(&mut Vec<String>), message: &str) {
    let mut lines = sample::lines();
    change(&mut lines);
    assert_eq!(first_error((lines.join("\n") + "\n").as_bytes()).to_string(), message);
}

// Line 6 of the sample: {"seq":5,"at":50,"event":{"sent":{"nexus":0,"tag":1,"command":{"pr-in":"read-reservation"}}}}
// Line 7: {"seq":6,"at":60,"event":{"dispatched":{"nexus":0,"tag":1,"disposition":{"answered":{"CHECK CONDITION":"06/29/01"}}}}}

#[test]
fn an_unknown_event_names_the_nearest() {
    check_line(
        7,
        "dispatched",
        "dispached",
        "t.ndjson:7:27: event: no event is called \"dispached\"; did you mean \"dispatched\"?",
    );
}

#[test]
fn a_name_that_is_near_nothing_gets_no_suggestion() {
    check_line(7, "dispatched", "xyzzyxyzzy", "t.ndjson:7:27: event: no event is called \"xyzzyxyzzy\"");
}

#[test]
fn an_unknown_field_names_its_object_and_the_nearest() {
    check_line(
        6,
        "\"tag\"",
        "\"tga\"",
        "t.ndjson:6:45: event.sent: no field is called \"tga\"; did you mean \"tag\"?",
    );
}

#[test]
fn a_missing_field_is_named() {
    check_line(6, ",\"tag\":1", "", "t.ndjson:6:34: event.sent: the field \"tag\" is missing");
}

#[test]
fn a_repeated_field_is_named() {
    check_line(
        6,
        "\"tag\":1",
        "\"tag\":1,\"tag\":1",
        "t.ndjson:6:53: event.sent: the field \"tag\" stands here twice",
    );
}

#[test]
fn a_number_out_of_range_names_the_range() {
    check_line(
        6,
        "\"nexus\":0",
        "\"nexus\":256",
        "t.ndjson:6:43: event.sent.nexus: expected a whole number from 0 to 255, found 256",
    );
    check_line(
        6,
        "\"tag\":1",
        "\"tag\":99999999999999999999999",
        "t.ndjson:6:51: event.sent.tag: expected a whole number from 0 to 4294967295, found 99999999999999999999999",
    );
}

#[test]
fn numbers_that_json_or_the_format_forbid_are_refused() {
    for bad in ["01", "1.0", "1e3", "-0", "+1", "", "\"1\"", "null"] {
        let mut lines = sample::lines();
        lines[5] = lines[5].replacen("\"tag\":1", &format!("\"tag\":{bad}"), 1);
        let error = first_error((lines.join("\n") + "\n").as_bytes());
        assert!(error.to_string().contains("expected a whole number"), "{bad}: {error}");
    }
}

#[test]
fn bad_sense_data_shows_what_it_should_look_like() {
    check_line(
        7,
        "06/29/01",
        "6/29/1",
        "t.ndjson:7:104: event.dispatched.disposition.answered.CHECK CONDITION: expected sense data such as \"06/2A/05\" \
         (sense key, code, qualifier), found \"6/29/1\"",
    );
}

#[test]
fn a_bad_key_shows_what_it_should_look_like() {
    let line = 1 + sample::lines().iter().position(|line| line.contains("\"service-key\":\"0xa\"")).unwrap();
    for bad in ["0xg", "10", "0x", "0x00000000000000001", "0x-1"] {
        let mut lines = sample::lines();
        lines[line - 1] = lines[line - 1].replacen("\"0xa\"", &format!("\"{bad}\""), 1);
        let error = first_error((lines.join("\n") + "\n").as_bytes()).to_string();
        assert!(error.contains("service-key: expected a reservation key such as \"0x1a\""), "{bad}: {error}");
    }
}

#[test]
fn an_unknown_guard_in_the_header_names_the_nearest() {
    let column = sample::lines()[0].find("\"preempt-abort\"").unwrap() + 1;
    check_line(
        1,
        "preempt-abort",
        "preempt-abrot",
        &format!(
            "t.ndjson:1:{column}: header.design: no guard is called \"preempt-abrot\"; did you mean \"preempt-abort\"?"
        ),
    );
}

#[test]
fn a_dropped_line_is_a_gap() {
    check_lines(
        |lines| {
            lines.remove(4);
        },
        "t.ndjson:5:1: expected sequence number 4, found 5: events are missing or repeated",
    );
}

#[test]
fn time_that_goes_back_is_refused() {
    check_line(6, "\"at\":50", "\"at\":39", "t.ndjson:6:1: time goes back from 40 us to 39 us");
}

#[test]
fn a_changed_event_is_seen_by_the_digest() {
    let last = sample::lines().len();
    let footer: String = sample::lines()[last - 1].chars().filter(char::is_ascii_hexdigit).collect();
    let mut lines = sample::lines();
    lines[5] = lines[5].replacen("\"at\":50", "\"at\":51", 1);
    let error = first_error((lines.join("\n") + "\n").as_bytes()).to_string();
    assert!(error.starts_with(&format!("t.ndjson:{last}:1: the digest is ")), "{error}");
    assert!(error.ends_with("the trace was changed after it was recorded"), "{error}");
    assert!(error.contains(&footer[footer.len() - 16..]), "{error}");
}

#[test]
fn a_changed_header_is_seen_by_the_digest() {
    let mut lines = sample::lines();
    lines[0] = lines[0].replacen("\"blocks\":64", "\"blocks\":65", 1);
    let error = first_error((lines.join("\n") + "\n").as_bytes()).to_string();
    assert!(error.ends_with("the trace was changed after it was recorded"), "{error}");
}

#[test]
fn a_footer_that_miscounts_is_refused() {
    let events = sample::events().len();
    let last = events + 2;
    check_line(
        last,
        &format!("\"events\":{events}"),
        "\"events\":3",
        &format!("t.ndjson:{last}:1: the footer counts 3 events, but the trace has {events}"),
    );
}

#[test]
fn nothing_may_follow_the_footer() {
    let last = sample::lines().len() + 1;
    check_lines(
        |lines| lines.push(String::new()),
        &format!("t.ndjson:{last}:1: nothing may follow the footer"),
    );
}

#[test]
fn a_second_header_is_refused() {
    check_lines(
        |lines| lines.insert(3, lines[0].clone()),
        "t.ndjson:4:1: expected an event or the footer, not a second header on this line",
    );
}

#[test]
fn a_client_trace_with_an_inner_event_is_refused() {
    let mut lines = sample::lines();
    lines[0] = lines[0].replacen("\"internal\"", "\"client\"", 1);
    let error = first_error((lines.join("\n") + "\n").as_bytes()).to_string();
    let message =
        "t.ndjson:2:1: the header says \"client\", but a client cannot see this event; expected \"internal\"";
    assert_eq!(error, message);
    assert_eq!(sample::header().visibility, Visibility::Internal);
}

#[test]
fn other_files_are_no_traces() {
    for text in ["{}\n", "[scenario]\nname = 1\n", "{\"format\":\"other\"}\n", "\n", "null\n"] {
        let error = first_error(text.as_bytes());
        assert!(matches!(error, Error::NotATrace { .. }), "{text:?}: {error}");
        assert_eq!(error.class(), Class::Malformed);
    }
}

#[test]
fn a_newer_version_says_who_wrote_it() {
    check_line(
        1,
        "\"version\":1",
        "\"version\":7",
        "t.ndjson: format version 7, written by redline 0.1.0; this redline reads up to version 1",
    );
    // A newer header may have fields and names that are unknown here.
    let error = first_error(
        b"{\"format\":\"redline-trace\",\"version\":9,\"header\":{\"redline\":\"3.1\",\"new\":[]}}\n",
    );
    let message = "t.ndjson: format version 9, written by redline 3.1; this redline reads up to version 1";
    assert_eq!(error.to_string(), message);
}

#[test]
fn version_0_never_existed() {
    check_line(
        1,
        "\"version\":1",
        "\"version\":0",
        "t.ndjson:1:1: version: expected a whole number from 1 to 1, found 0",
    );
}

#[test]
fn a_trace_cut_anywhere_is_inconclusive() {
    let whole = sample::bytes(&sample::header(), &sample::events());
    for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let error = first_error(&whole[..length]);
        assert!(matches!(error, Error::Truncated { .. }), "cut at {length}: {error}");
        assert_eq!(error.class(), Class::Inconclusive);
    }
}

#[test]
fn a_cut_trace_says_how_far_it_goes() {
    let lines = sample::lines();
    let text = lines[..11].join("\n") + "\n{\"seq\":11,";
    let message =
        "t.ndjson: cut after 10 events: line 12 should be the footer or a whole event, and the file ends";
    assert_eq!(first_error(text.as_bytes()).to_string(), message);
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let endless = sample::lines()[0].clone() + "\n" + &" ".repeat(2 * crate::LINE_MAX);
    assert_eq!(
        first_error(endless.as_bytes()).to_string(),
        "t.ndjson:2:1048577: the line is longer than 1048576 bytes"
    );
}

#[test]
fn deep_nesting_is_refused_at_its_first_level() {
    let deep = sample::lines()[0].clone()
        + "\n{\"seq\":1,\"at\":0,\"event\":"
        + &"{\"sent\":".repeat(100_000)
        + "\n";
    let error = first_error(deep.as_bytes()).to_string();
    assert!(error.starts_with("t.ndjson:2:34: event.sent: no field is called \"sent\""), "{error}");
    let header = "{\"a\":".repeat(100_000) + "\n";
    assert!(matches!(first_error(header.as_bytes()), Error::NotATrace { .. }));
}
