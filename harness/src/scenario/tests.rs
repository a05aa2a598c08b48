//! The scenario file: what comes with the program is sound, what is wrong is told with its place, what is written comes back.

use super::*;
use proptest::prelude::*;

fn reference() -> String {
    EMBEDDED[0].text.to_owned()
}

fn problems(text: &str) -> Vec<String> {
    parse(text, "my.toml").expect_err("it is wrong").iter().map(Problem::to_string).collect()
}

#[test]
fn every_embedded_scenario_is_read_and_named_after_its_file() {
    for embedded in EMBEDDED {
        let read = parse(embedded.text, embedded.name).expect("it comes with the program");
        assert_eq!(read.name, embedded.name);
        assert_eq!(parse(&to_toml(&read), "again").expect("it was just written"), read);
    }
}

#[test]
fn the_reference_scenario_is_the_sound_design_and_must_hold() {
    let read = parse(&reference(), "reference.toml").expect("it comes with the program");
    assert_eq!((read.design, read.expect.holds, read.quirks()), (Design::SOUND, true, Quirks::NONE));
}

#[test]
fn what_is_left_out_has_the_value_that_the_reference_shows() {
    let short = "format = 1\nname = \"reference\"\n[[site]]\nname = \"primary\"\n[[array]]\nname = \"san-1\"\nsite = \"primary\"\n\
                 [[guest_cluster]]\nname = \"sql\"\nshared_disk = \"san-1\"\n";
    let (short, full) =
        (parse(short, "short").expect("defaults"), parse(&reference(), "full").expect("embedded"));
    assert_eq!((short.array, short.cluster, short.bounds), (full.array, full.cluster, full.bounds));
    assert_eq!(
        (short.chaos.runs, short.chaos.events, short.chaos.recovery),
        (2000, 1000, full.chaos.recovery)
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_would_be_right() {
    let swap = |from: &str, to: &str| {
        let text = reference();
        assert!(text.contains(from), "{from}");
        problems(&text.replacen(from, to, 1)).join("\n")
    };
    let told = [
        swap("defend = \"3s\"", "defence = \"3s\""),
        swap("defend = \"3s\"", "defend = \"3 parsecs\""),
        swap("challenge_wait = \"7s\"", "challenge_wait = \"2s\""),
        swap("nodes = 2 ", "nodes = 9 "),
        swap("shared_disk = \"san-1\"", "shared_disk = \"san-2\""),
        swap("preempt-abort = true", "preempt-abrt = true"),
        swap("disk-error = 5", "disk-eror = 5"),
        swap("format = 1", "format = 2"),
        swap("verdict = \"holds\"", "verdict = \"fine\""),
        swap("[[site]]", "[[recovery_plan]]\nname = \"x\"\n[[site]]"),
        swap("blocks = 4096", "blocks = \"many\""),
        problems("").join("\n"),
        problems("\u{feff}not toml at all").join("\n"),
    ];
    insta::assert_snapshot!(told.join("\n---\n"));
}

proptest! {
    #[test]
    fn a_scenario_comes_back_from_its_file(
        nodes in 2u8..=4,
        blocks in 64u64..=65536,
        defend in 1u64..5,
        depth in 1u8..=8,
        dropped in 0usize..Guard::ALL.len(),
        runs in 1u32..5000,
    ) {
        let mut scenario = parse(&reference(), "reference").expect("embedded");
        scenario.cluster.nodes = nodes;
        scenario.array.blocks = blocks;
        scenario.cluster.defend = Micros(defend * 1_000_000);
        scenario.cluster.challenge_wait = Micros((defend + 2) * 1_000_000);
        scenario.cluster.workload.depth = depth;
        scenario.design = scenario.design.without(Guard::ALL[dropped]);
        scenario.chaos.runs = runs;
        prop_assert_eq!(parse(&to_toml(&scenario), "again").expect("it was just written"), scenario);
    }

    #[test]
    fn a_damaged_scenario_is_refused_or_read_but_never_panics(at in any::<prop::sample::Index>(), byte in 32u8..127) {
        let mut bytes = reference().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse(&String::from_utf8(bytes).expect("the text is ASCII"), "f");
    }
}
