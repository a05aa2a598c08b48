use redline_model::cluster::*;
use redline_vocab::*;
use stateright::{Checker, Model};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let n: Vec<u8> = a[1].split(',').map(|x| x.parse().unwrap()).collect();
    let left = Left { writes: n[1], challenges: n[2], defends: n[3], stalls: n[4], breaks: n[5], crashes: n[6], power_cycles: n[7] };
    let mut design = Design::SOUND;
    for g in &a[2..] { design = design.without(Guard::from_name(g).unwrap()); }
    let keys: Vec<Key> = (1..=n[0]).map(|k| Key(0x100 + u64::from(k))).collect();
    let readings = if a.len() > 2 { Readings::OurTarget } else { Readings::Every };
    let c = Cluster::new(design, Bounds { nodes: n[0], left, queue: 2, restarts: true }, readings, &keys);
    let t = std::time::Instant::now();
    let ck = c.clone().checker().threads(if a.len() > 2 { 1 } else { 2 }).target_state_count(60_000_000).spawn_bfs().join();
    println!("unique {} gen {} depth {} in {:?}, state size {}", ck.unique_state_count(), ck.state_count(), ck.max_depth(), t.elapsed(), std::mem::size_of::<State>());
    for (name, path) in ck.discoveries() {
        let p = path.into_vec();
        println!("{name}: {} moves", p.len() - 1);
        if name.contains('/') { for (_, m) in p { println!("   {m:?}"); } }
    }
}
