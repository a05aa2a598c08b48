//! Other people's formats: short snapshots for the eye, structure checked by rule.

use super::sample;
use crate::{Stamped, export};
use redline_vocab::{Event, Nexus, Tag};
use serde_json::Value;
use std::collections::BTreeMap;

fn exported(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn itf_of(events: &[Stamped]) -> String {
    exported(|out| export::itf(&sample::header(), events, out))
}

fn shiviz_of(events: &[Stamped]) -> String {
    exported(|out| export::shiviz(&sample::header(), events, out))
}

fn mermaid_of(events: &[Stamped], events_max: usize) -> String {
    exported(|out| export::mermaid(&sample::header(), events, events_max, out))
}

#[test]
fn itf_looks_as_adr_015_says() {
    insta::assert_snapshot!("itf", itf_of(&sample::events()[12..18]));
}

/// An expression of ITF: no null, no plain number, no key that begins with `#` but for the known ones.
fn check_expression(value: &Value) {
    match value {
        Value::Bool(_) | Value::String(_) => {}
        Value::Array(items) => items.iter().for_each(check_expression),
        Value::Object(fields) if fields.contains_key("#bigint") => {
            let digits = fields["#bigint"].as_str().unwrap();
            assert!(
                fields.len() == 1 && digits.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
            );
        }
        Value::Object(fields) if fields.contains_key("#tup") || fields.contains_key("#set") => {
            assert_eq!(fields.len(), 1);
        }
        Value::Object(fields) if fields.contains_key("tag") => {
            assert!(fields.len() == 2 && fields["tag"].is_string(), "{value} is no variant");
            check_expression(&fields["value"]);
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            assert!(!name.starts_with('#') && !name.contains('-'), "{name} is no field name");
            check_expression(field);
        }),
        Value::Null | Value::Number(_) => panic!("{value} is no ITF expression"),
    }
}

#[test]
fn every_itf_state_sets_every_variable() {
    let itf: Value = serde_json::from_str(&itf_of(&sample::events())).unwrap();
    let states = itf["states"].as_array().unwrap();
    assert_eq!(states.len(), sample::events().len());
    for (index, state) in states.iter().enumerate() {
        assert_eq!(state["#meta"]["index"], index);
        for variable in itf["vars"].as_array().unwrap() {
            check_expression(&state[variable.as_str().unwrap()]);
        }
    }
    assert_eq!(states.last().unwrap()["table"]["value"]["generation"]["#bigint"], "3");
}

#[test]
fn an_empty_trace_is_an_itf_trace_without_states() {
    let itf: Value = serde_json::from_str(&itf_of(&[])).unwrap();
    assert_eq!(itf["states"], serde_json::json!([]));
}

#[test]
fn shiviz_begins_with_its_pattern_and_shows_hosts_and_clocks() {
    insta::assert_snapshot!("shiviz", shiviz_of(&sample::events()[..14]));
}

type Clock = BTreeMap<String, u64>;

/// The clocks of a ShiViz log, read back.
fn clocks(log: &str) -> Vec<(String, Clock)> {
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], export::SHIVIZ_PATTERN);
    assert_eq!(lines[1], "", "there is one execution");
    let pairs = lines[2..].chunks(2).map(|pair| {
        let (host, clock) = pair[1].split_once(' ').unwrap();
        (host.to_string(), serde_json::from_str(clock).unwrap())
    });
    pairs.collect()
}

fn before(one: &Clock, other: &Clock) -> bool {
    one != other && one.iter().all(|(host, count)| other.get(host).is_some_and(|known| known >= count))
}

#[test]
fn a_hosts_clock_counts_its_own_events_without_a_gap() {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (host, clock) in clocks(&shiviz_of(&sample::events())) {
        let count = counts.entry(host.clone()).or_default();
        *count += 1;
        assert_eq!(clock[&host], *count);
    }
    assert_eq!(counts.len(), 3, "two nodes and the target");
}

/// Clocks order two events exactly when a chain of hosts and messages does: checked against the closure of those edges.
#[test]
fn clocks_order_events_exactly_as_messages_do() {
    let events = sample::events();
    let clocks = clocks(&shiviz_of(&events));
    let mut reaches = vec![vec![false; events.len()]; events.len()];
    let mut last_of_host: BTreeMap<&str, usize> = BTreeMap::new();
    let mut requests: BTreeMap<(Nexus, Tag), usize> = BTreeMap::new();
    let mut replies: BTreeMap<(Nexus, Tag), usize> = BTreeMap::new();
    for (at, stamped) in events.iter().enumerate() {
        let mut causes: Vec<usize> = last_of_host.insert(&clocks[at].0, at).into_iter().collect();
        if let Event::Dispatched { nexus, tag, .. } = &stamped.event {
            causes.extend(requests.get(&(*nexus, *tag)));
        } else if let Event::Received { nexus, tag, .. } = &stamped.event {
            causes.extend(replies.get(&(*nexus, *tag)));
        } else if let Event::Sent { nexus, tag, .. } = &stamped.event {
            requests.insert((*nexus, *tag), at);
        } else if let Event::Replied { nexus, tag, .. } = &stamped.event {
            replies.insert((*nexus, *tag), at);
        }
        for cause in causes {
            for (earlier, reached) in reaches.iter_mut().enumerate().take(at) {
                reached[at] |= earlier == cause || reached[cause];
            }
        }
    }
    let mut ordered = 0;
    for later in 0..events.len() {
        for earlier in 0..later {
            let known = before(&clocks[earlier].1, &clocks[later].1);
            assert_eq!(known, reaches[earlier][later], "events {} and {}", earlier + 1, later + 1);
            assert!(!before(&clocks[later].1, &clocks[earlier].1), "time ran back");
            ordered += usize::from(known);
        }
    }
    let pairs = events.len() * (events.len() - 1) / 2;
    assert!(ordered > 0 && ordered < pairs, "some events are concurrent: {ordered} of {pairs} are ordered");
}

#[test]
fn a_sequence_diagram_shows_who_did_what() {
    insta::assert_snapshot!("mermaid", mermaid_of(&sample::events()[22..60], 30));
}

#[test]
fn a_sequence_diagram_says_how_much_it_leaves_out() {
    let diagram = mermaid_of(&sample::events(), 5);
    let more = sample::events().len() - 5;
    assert!(diagram.ends_with(&format!("    Note over T: {more} more events\n")), "{diagram}");
    assert!(!mermaid_of(&sample::events(), 1000).contains("more events"));
}

#[test]
fn a_sequence_diagram_has_no_character_that_ends_a_statement() {
    for line in mermaid_of(&sample::events(), 1000).lines() {
        let plain = line.replace("#35;", "").replace("#59;", "");
        assert!(!plain.contains([';', '#']), "{line}");
    }
}
