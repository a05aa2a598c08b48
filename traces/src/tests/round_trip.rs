//! What is written is what is read, and other JSON libraries read it the same way.

use super::{sample, words};
use crate::wire::event_line;
use crate::{Reader, Stamped, Visibility};
use proptest::prelude::*;
use redline_vocab::{Command, Event, Fault, Micros, Name, Nexus, NodeId, Tag};
use serde_json::Value;

fn check_round_trip(events: &[Stamped]) {
    let bytes = sample::bytes(&sample::header(), events);
    let mut reader = Reader::new(&bytes[..], "sample").unwrap();
    assert_eq!(*reader.header(), sample::header());
    let read: Vec<Stamped> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(read, events);
    assert_eq!(reader.footer().unwrap().events, events.len() as u64);
}

/// Our encoding is the JSON that serde_json understands, and its encoding is one that we understand.
fn check_agrees_with_serde_json(event: &Event) {
    let stamped = Stamped { seq: 1, at: Micros(0), event: event.clone() };
    let line = event_line(&stamped);
    let value: Value = serde_json::from_str(&line).unwrap();
    // serde_json sorts the fields and the pretty form adds white space: neither may matter to the reader.
    let pretty = serde_json::to_string_pretty(&value).unwrap().replace('\n', " ");
    let mut file = sample::bytes(&sample::header(), &[]);
    let header = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    file.truncate(header);
    file.extend_from_slice(pretty.as_bytes());
    file.push(b'\n');
    let read = Reader::new(&file[..], "pretty").unwrap().next().unwrap().unwrap();
    assert_eq!(read, stamped);
}

#[test]
fn the_sample_survives_a_round_trip() {
    check_round_trip(&sample::events());
}

#[test]
fn an_empty_trace_survives_a_round_trip() {
    check_round_trip(&[]);
}

#[test]
fn every_command_name_survives_a_round_trip() {
    let events = Name::ALL.iter().map(|name| Event::Sent {
        nexus: Nexus(0),
        tag: Tag(1),
        command: Command::Other(*name),
    });
    check_round_trip(&sample::stamp(events.collect()));
}

#[test]
fn the_wire_calls_a_fault_what_scenario_files_call_it() {
    let node = NodeId(1);
    let faults = [
        Fault::ConnectionReset(Nexus(1)),
        Fault::HeartbeatLoss(node, node),
        Fault::NodePause(node),
        Fault::ClockSkew(node, -5),
        Fault::PowerCycle,
        Fault::DiskError,
    ];
    for fault in faults {
        let line = event_line(&Stamped { seq: 1, at: Micros(0), event: Event::FaultInjected { fault } });
        assert!(line.contains(&format!("\"{}\"", fault.kind().name())), "{line}");
    }
}

#[test]
fn a_line_looks_as_documented() {
    insta::assert_snapshot!("sample_trace", sample::lines().join("\n"));
}

#[test]
fn a_client_trace_records_only_what_a_client_sees() {
    let header = crate::Header { visibility: Visibility::Client, ..sample::header() };
    let bytes = sample::bytes(&header, &sample::events());
    let read: Vec<Event> =
        Reader::new(&bytes[..], "client").unwrap().map(|stamped| stamped.unwrap().event).collect();
    let visible: Vec<Event> =
        sample::events().into_iter().map(|stamped| stamped.event).filter(Event::client_visible).collect();
    assert!(!visible.is_empty() && visible.len() < sample::events().len());
    assert_eq!(read, visible);
}

#[test]
#[should_panic(expected = "virtual time must not go back")]
fn a_recorder_whose_clock_goes_back_is_a_bug() {
    let mut writer = crate::Writer::new(Vec::new(), &sample::header()).unwrap();
    writer.record(Micros(2), &Event::PowerLost).unwrap();
    let _ = writer.record(Micros(1), &Event::PowerLost);
}

#[test]
fn a_trace_longer_than_the_buffers_survives_a_round_trip() {
    let events: Vec<Event> = (0..80).flat_map(|_| sample::events()).map(|stamped| stamped.event).collect();
    let events = sample::stamp(events);
    assert!(sample::bytes(&sample::header(), &events).len() > 4 * 128 * 1024);
    check_round_trip(&events);
}

proptest! {
    #[test]
    fn any_events_survive_a_round_trip(events in proptest::collection::vec(words::event(), 0..8)) {
        check_round_trip(&sample::stamp(events));
    }

    #[test]
    fn any_event_means_the_same_to_serde_json(event in words::event()) {
        check_agrees_with_serde_json(&event);
    }
}
