//! The bad corpus is well-formed, deterministic, and differs from the good trace only where it says.

use super::sample;
use crate::mutate::{Kind, Mutant, SITES_MAX, mutants};
use crate::{Header, Reader, Stamped, Visibility};
use redline_vocab::{Event, Guard};
use std::collections::{BTreeMap, BTreeSet};

fn all() -> Vec<Mutant> {
    mutants(&sample::header(), &sample::events())
}

#[test]
fn every_kind_and_at_least_thirty_bad_traces_come_from_the_sample() {
    let mut count: BTreeMap<Kind, usize> = BTreeMap::new();
    for mutant in all() {
        *count.entry(mutant.kind).or_default() += 1;
    }
    assert_eq!(count.len(), 5, "{count:?}");
    assert!(count.values().sum::<usize>() >= 30, "{count:?}");
}

#[test]
fn names_are_unique_and_fit_into_file_names() {
    let names: BTreeSet<String> = all().into_iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), all().len());
    for name in names {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{name}"
        );
    }
}

#[test]
fn the_form_of_a_bad_trace_is_faultless() {
    for mutant in all() {
        let bytes = sample::bytes(&sample::header(), &mutant.events);
        let read: Result<Vec<Stamped>, _> = Reader::new(&bytes[..], &mutant.name).unwrap().collect();
        assert_eq!(read.unwrap(), mutant.events, "{}", mutant.name);
    }
}

#[test]
fn a_bad_trace_differs_from_the_good_one_no_later_than_at_its_line() {
    let plain =
        |events: &[Stamped]| events.iter().map(|stamped| stamped.event.clone()).collect::<Vec<Event>>();
    let good = plain(&sample::events());
    for mutant in all() {
        let bad = plain(&mutant.events);
        let same = good.iter().zip(&bad).take_while(|(one, other)| one == other).count();
        let line = mutant.line as usize;
        assert!(same < bad.len() || bad.len() < good.len(), "{} is the good trace", mutant.name);
        assert!((2..bad.len() + 2).contains(&line), "{}: line {line}", mutant.name);
        // An event said twice is the same up to its first copy, and one more.
        assert!(same + 2 <= line + 1, "{}: differs from line {}, illegal from {line}", mutant.name, same + 2);
    }
}

#[test]
fn a_family_is_not_repeated_without_end() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for mutant in all() {
        let family = mutant.name.rsplit_once('-').unwrap().0.to_string();
        *count.entry(family).or_default() += 1;
    }
    assert!(count.values().all(|sites| *sites <= SITES_MAX), "{count:?}");
}

#[test]
fn an_early_answer_to_preempt_and_abort_is_among_them_while_the_design_forbids_it() {
    let early = |header: &Header| {
        mutants(header, &sample::events())
            .iter()
            .filter(|mutant| mutant.name.contains("held-to-good"))
            .count()
    };
    assert_eq!(early(&sample::header()), 1);
    let relaxed =
        Header { design: sample::header().design.without(Guard::AbortQuiesces), ..sample::header() };
    assert_eq!(early(&relaxed), 0, "what the design allows is no bad trace");
}

#[test]
fn a_client_trace_has_bad_variants_too() {
    let header = Header { visibility: Visibility::Client, ..sample::header() };
    let visible: Vec<Event> =
        sample::events().into_iter().map(|stamped| stamped.event).filter(Event::client_visible).collect();
    let bad = mutants(&header, &sample::stamp(visible));
    assert!(bad.len() >= 10, "{}", bad.len());
    for mutant in bad {
        assert!(mutant.events.iter().all(|stamped| stamped.event.client_visible()), "{}", mutant.name);
    }
}

#[test]
fn a_trace_that_shows_nothing_has_no_bad_variants() {
    assert_eq!(mutants(&sample::header(), &[]), vec![]);
}
