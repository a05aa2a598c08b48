use redline_harness::{check::*, replay, scenario};
use redline_model::cluster::*;
use redline_vocab::*;
use std::sync::atomic::AtomicBool;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: Vec<u8> = a[1].split(',').map(|x| x.parse().unwrap()).collect();
    let left = Left { writes: n[1], challenges: n[2], defends: n[3], stalls: n[4], breaks: n[5], crashes: n[6], power_cycles: n[7] };
    let mut design = Design::SOUND;
    for g in &a[2..] { design = design.without(Guard::from_name(g).unwrap()); }
    let s = scenario::load(if n[0] == 2 { "reference" } else { "three-nodes" }).unwrap();
    let keys: Vec<Key> = s.keys();
    let c = Cluster::new(design, Bounds { nodes: n[0], left, queue: 1, restarts: true }, Readings::OurTarget, &keys);
    if std::env::var("RECOVER").is_ok() {
        let r = recover(&c, &recovery_terms(), Limits { threads: 1, states_max: Some(3_000_000), time_max: None, until: Until::Exhausted }, &AtomicBool::new(false)).unwrap();
        println!("states {} goals {} transitions {} stuck {} cut {:?}", r.states, r.goals, r.transitions, r.stuck, r.cut);
        if let Some(p) = r.path { for s in p { println!("   {}", s.text); } }
        return;
    }
    let r = run(&c, Limits { threads: 1, states_max: Some(5_000_000), time_max: None, until: Until::FirstViolation }, &AtomicBool::new(false), &mut |_| {}).unwrap();
    println!("unique {} depth {} {:?} {:?}", r.unique, r.depth, r.ending, r.elapsed);
    for w in &r.witnesses { print!("{}: {:?}; ", w.name, w.steps); }
    println!();
    for ce in r.counterexamples.iter().take(1) {
        println!("{}: {} steps", ce.property, ce.steps.len());
        for s in &ce.steps { println!("   {}", s.text); }
        let choices: Vec<_> = ce.steps.iter().flat_map(|s| s.choices.clone()).collect();
        let story = c.story(&choices).unwrap();
        let header = story_header(&s, design, n[0], c.nexuses());
        let q = replay::matching_quirks(&header);
        for quirks in [q, Quirks::NONE] {
            let r = replay::replay(replay::setup(&s, &header, quirks), story.clone());
            println!("  replay with {:?}: followed {}/{} refusal {:?} violations {:?}", quirks.iter().map(|q| q.name()).collect::<Vec<_>>(), r.followed, story.len(), r.refusal.map(|r| r.to_string()), r.violations.iter().map(|v| v.property).collect::<Vec<_>>());
        }
    }
}
