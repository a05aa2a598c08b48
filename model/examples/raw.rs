use redline_model::{cluster::Readings, reservations::*};
use redline_vocab::*;
use stateright::{Checker, Model};
fn main() {
    for i in INSTANCES {
        let c = Reservations::new(i, Design::SOUND, Readings::Every);
        let t = std::time::Instant::now();
        let ck = c.checker().threads(2).target_state_count(60_000_000).spawn_bfs().join();
        println!("{}: unique {} gen {} depth {} in {:?}", i.name, ck.unique_state_count(), ck.state_count(), ck.max_depth(), t.elapsed());
        for (name, path) in ck.discoveries() { let p = path.into_vec(); println!("   {name}: {}", p.len() - 1); if name.contains('/') { for (_, m) in p { println!("   {m:?}"); } } }
    }
}
