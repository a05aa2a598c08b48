//! The tables of the standards, transcribed by hand, against the model and against the fabric. The rules stand in three
//! places on purpose; here they are compared cell by cell.

use crate::support::root;
use redline_harness::scenario;
use redline_harness::sim::{Notice, World, raw};
use redline_model::access;
use redline_model::lun::{Lun, Reaction, Rules};
use redline_model::{Attention, Set};
use redline_vocab::{
    Action, Command, Design, Disposition, Event, Holder, Key, LunView, Name, Nexus, Nexuses, NodeId,
    PortList, PrOut, PrType, Quirks, Reply, Reservation, Sense, ServiceAction, Status,
};
use std::fs;

fn rows(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("tests/golden").join(file)).expect("the table is there");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// A raw initiator's view of a target.
struct Target(World);

impl Target {
    fn new() -> Target {
        let scenario = scenario::load("three-nodes").expect("it is embedded");
        let mut target = Target(World::new(raw::setup(&scenario, Quirks::NONE), &mut Vec::new()));
        target.drain();
        target
    }

    /// Sends a command, lets the target take it, and gives the answer. A medium access is carried out.
    fn ask(&mut self, nexus: Nexus, command: Command) -> Reply {
        let mut notices = Vec::new();
        self.0.apply(Action::Command(nexus, command), &mut notices).expect("the connection is up");
        self.0.apply(Action::Dispatch(nexus), &mut notices).expect("a command is there");
        let into_task_set = |notice: &Notice| {
            matches!(notice, Notice::Event(Event::Dispatched { disposition: Disposition::Enabled, .. }))
        };
        if notices.iter().any(into_task_set) {
            self.0.apply(Action::Submit { nexus, nth: 0 }, &mut notices).expect("it waits in the task set");
            self.0.apply(Action::Commit { nexus, nth: 0 }, &mut notices).expect("it is at the back end");
        }
        notices.clear();
        self.0.apply(Action::Receive(NodeId(nexus.0)), &mut notices).expect("it has been answered");
        let received = notices.into_iter().find_map(|notice| match notice {
            Notice::Event(Event::Received { reply, .. }) => Some(reply),
            _ => None,
        });
        received.expect("receiving is an event")
    }

    /// The pending unit attentions of all nexuses, which are gone then.
    fn drain(&mut self) -> Vec<(Nexus, Sense)> {
        let mut found = Vec::new();
        for nexus in NEXUSES {
            while let Status::CheckCondition(sense) =
                self.ask(nexus, Command::Other(Name::TestUnitReady)).status
            {
                found.push((nexus, sense));
            }
        }
        found
    }

    /// A target in this state.
    fn with(state: &LunView) -> Target {
        let mut target = Target::new();
        for (nexus, key) in &state.registrants {
            let order =
                PrOut { service_key: *key, ..PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey) };
            assert_eq!(target.ask(*nexus, Command::PrOut(order)).status, Status::Good);
        }
        if let Some(held) = state.reservation {
            let by = match held.holder {
                Holder::Nexus(nexus) => nexus,
                Holder::AllRegistrants => state.registrants[0].0,
            };
            let key =
                state.registrants.iter().find(|(nexus, _)| *nexus == by).expect("the holder is registered").1;
            let order = PrOut { key, kind: held.kind.code(), ..PrOut::new(ServiceAction::Reserve) };
            assert_eq!(target.ask(by, Command::PrOut(order)).status, Status::Good);
        }
        target.drain();
        target
    }
}

const NEXUSES: [Nexus; 3] = [Nexus(0), Nexus(1), Nexus(2)];

/// The model's unit in this state.
fn lun(state: &LunView) -> Lun {
    let mut lun = Lun::new();
    lun.pending = [0; redline_model::NEXUSES];
    for nexus in NEXUSES {
        lun.sessions = lun.sessions.or(Set::of(nexus));
        lun.known = lun.known.or(Set::of(nexus));
    }
    for (nexus, key) in &state.registrants {
        lun.table.keys[usize::from(nexus.0)] = *key;
    }
    lun.table.reservation = state.reservation;
    lun
}

const RULES: Rules = Rules { design: Design::SOUND, blocks: raw::BLOCKS, limits: false };

fn kind(word: &str) -> u8 {
    let named = PrType::ALL.into_iter().find(|kind| kind.short() == word);
    named.map_or_else(|| word.parse().expect("a type is a name or a number"), PrType::code)
}

fn nexus(word: &str) -> Nexus {
    Nexus(word.as_bytes()[0] - b'A')
}

/// A state as in `A:1 B:2|WERO A`.
fn state(text: &str) -> LunView {
    let (registered, held) = text.split_once('|').expect("a state has two parts");
    let registrants = registered.split(' ').filter(|word| *word != "-").map(|word| {
        let (who, key) = word.split_once(':').expect("a registration has a key");
        (nexus(who), Key(key.parse().expect("keys are numbers")))
    });
    let reservation = (held != "-").then(|| {
        let (word, who) = held.split_once(' ').expect("a reservation has a holder");
        let kind = PrType::from_code(kind(word)).expect("a state has a legal type");
        let holder = if who == "*" { Holder::AllRegistrants } else { Holder::Nexus(nexus(who)) };
        Reservation { kind, holder }
    });
    LunView {
        generation: redline_vocab::Generation(0),
        registrants: registrants.collect(),
        reservation,
        aptpl: false,
    }
}

/// An order as in `PREEMPT rk=2 sark=1 type=EA`.
fn order(text: &str) -> PrOut {
    let mut words = text.split(' ');
    let action = match words.next().expect("an order has a name") {
        "REGISTER" => ServiceAction::Register,
        "IGNORE" => ServiceAction::RegisterAndIgnoreExistingKey,
        "RESERVE" => ServiceAction::Reserve,
        "RELEASE" => ServiceAction::Release,
        "CLEAR" => ServiceAction::Clear,
        "PREEMPT" => ServiceAction::Preempt,
        "ABORT" => ServiceAction::PreemptAndAbort,
        "MOVE" => ServiceAction::RegisterAndMove,
        "LOST" => ServiceAction::ReplaceLostReservation,
        other => panic!("no service action {other}"),
    };
    let mut order = PrOut::new(action);
    for word in words {
        match word.split_once('=') {
            Some(("rk", key)) => order.key = Key(key.parse().expect("keys are numbers")),
            Some(("sark", key)) => order.service_key = Key(key.parse().expect("keys are numbers")),
            Some(("type", word)) => order.kind = kind(word),
            Some(("scope", number)) => order.scope = number.parse().expect("a scope is a number"),
            Some(("to", who)) => order.destination = Some(nexus(who)),
            None if word == "unreg" => order.unreg = true,
            Some(("spec_i_pt", whom)) => order.spec_i_pt = ports(whom),
            Some(("all_tg_pt", whom)) => order.all_tg_pt = ports(whom),
            _ => panic!("no field {word}"),
        }
    }
    order
}

/// A list as in `B,C`; `?` is one that names no ports, `-` an empty one.
fn ports(text: &str) -> PortList {
    match text {
        "?" => PortList::Invalid,
        "-" => PortList::Of(Nexuses::NONE),
        listed => PortList::Of(listed.split(',').map(nexus).collect()),
    }
}

fn answer_words(status: Status) -> String {
    match status {
        Status::Good => "GOOD".to_owned(),
        Status::ReservationConflict => "CONFLICT".to_owned(),
        Status::CheckCondition(sense) => format!("{:02X}/{:02X}/{:02X}", sense.key, sense.asc, sense.ascq),
        other => other.to_string(),
    }
}

fn attention_words(mut found: Vec<(Nexus, Sense)>) -> String {
    found.sort_by_key(|(nexus, sense)| (nexus.0, sense.asc, sense.ascq));
    let words: Vec<String> = found
        .into_iter()
        .map(|(nexus, sense)| format!("{}:{:02X}/{:02X}", char::from(b'A' + nexus.0), sense.asc, sense.ascq))
        .collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn state_words(view: &LunView) -> String {
    let name = |nexus: Nexus| char::from(b'A' + nexus.0);
    let registered: Vec<String> =
        view.registrants.iter().map(|(nexus, key)| format!("{}:{}", name(*nexus), key.0)).collect();
    let registered = if registered.is_empty() { "-".to_owned() } else { registered.join(" ") };
    let held = view.reservation.map_or_else(
        || "-".to_owned(),
        |held| match held.holder {
            Holder::Nexus(nexus) => format!("{} {}", held.kind.short(), name(nexus)),
            Holder::AllRegistrants => format!("{} *", held.kind.short()),
        },
    );
    format!("{registered}|{held}")
}

fn step_words(before: u32, after: u32) -> String {
    match after.wrapping_sub(before) {
        0 => "0".to_owned(),
        step => format!("+{step}"),
    }
}

/// Answer, state, step of PRgeneration and unit attentions, as the table has them.
type Cells = [String; 4];

fn by_fabric(before: &LunView, who: Nexus, order: PrOut) -> Cells {
    let mut target = Target::with(before);
    let generation = target.0.target().view().generation.0;
    let reply = target.ask(who, Command::PrOut(order));
    let view = target.0.target().view();
    [
        answer_words(reply.status),
        state_words(&view),
        step_words(generation, view.generation.0),
        attention_words(target.drain()),
    ]
}

fn by_model(before: &LunView, who: Nexus, order: PrOut) -> Vec<Cells> {
    let unit = lun(before);
    let command = Command::PrOut(order);
    let mut reactions = Vec::new();
    unit.reactions(RULES, who, &command, &mut reactions);
    let tag = redline_vocab::Tag(1);
    reactions
        .iter()
        .map(|reaction| {
            let mut after = unit.clone();
            after.react(RULES, who, tag, reaction, &mut Vec::new());
            let status = match reaction {
                Reaction::Refused(status) => *status,
                _ => Status::Good,
            };
            let pending = NEXUSES.into_iter().flat_map(|nexus| {
                let bits = after.pending[usize::from(nexus.0)];
                let set = Attention::ALL.into_iter().filter(move |one| bits & (1 << *one as u8) != 0);
                set.map(move |one| (nexus, one.sense()))
            });
            let view = after.view();
            [
                answer_words(status),
                state_words(&view),
                step_words(unit.generation.0, after.generation.0),
                attention_words(pending.collect()),
            ]
        })
        .collect()
}

#[test]
fn service_actions_do_what_the_table_says_in_model_and_fabric() {
    let rows = rows("service-actions.tsv");
    assert!(rows.len() >= 90, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let [before, who, asked, answer, after, generation, attentions, _clause] = &row[..] else {
            panic!("a row has eight cells: {row:?}")
        };
        let (before, who, order) = (state(before), nexus(who), order(asked));
        let answers: Vec<&str> = answer.split(" or ").collect();
        let afters: Vec<&str> = after.split(" or ").collect();
        let expected: Vec<Cells> = (0..answers.len().max(afters.len()))
            .map(|nth| {
                let pick = |cells: &[&str]| cells[nth.min(cells.len() - 1)].to_owned();
                [pick(&answers), pick(&afters), generation.clone(), attentions.clone()]
            })
            .collect();
        let (fabric, mut model) = (by_fabric(&before, who, order), by_model(&before, who, order));
        if fabric != expected[0] {
            wrong.push(format!("{row:?}\n  fabric: {fabric:?}"));
        }
        let mut allowed = expected.clone();
        allowed.sort();
        model.sort();
        if model != allowed {
            wrong.push(format!("{row:?}\n  model: {model:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_meet_reservations_as_the_table_says_in_model_and_fabric() {
    let rows = rows("command-versus-reservation.tsv");
    let own = [Name::PersistentReserveOut, Name::LegacyReserve, Name::LegacyRelease];
    assert_eq!(rows.len(), Name::ALL.len() - own.len(), "{own:?} have tables of their own");
    let types = [
        ("WE", [0, 0]),
        ("EA", [1, 1]),
        ("WERO", [3, 2]),
        ("WEAR", [3, 2]),
        ("EARO", [4, 2]),
        ("EAAR", [4, 2]),
    ];
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (word, columns) in types {
        for (registered, column) in [false, true].into_iter().zip(columns) {
            let all = word.ends_with("AR");
            let holder = if all { "*" } else { "A" };
            let before =
                if registered { format!("A:1 B:2|{word} {holder}") } else { format!("A:1|{word} {holder}") };
            // A registrant of an all-registrants type is a holder: there is nothing to ask for.
            let holds = all && registered;
            let before = state(&before);
            let mut target = Target::with(&before);
            for row in &rows {
                let name = Name::ALL
                    .iter()
                    .copied()
                    .find(|name| name.text() == row[0])
                    .expect("the standard's names");
                let expected = row[column + 1] == "C" && !holds;
                let reply = target.ask(Nexus(1), command(name));
                let fabric = reply.status == Status::ReservationConflict;
                let pr = PrType::from_code(kind(word)).expect("these are types");
                let model = access::conflicts(name, pr, registered) && !holds;
                if (fabric, model) != (expected, expected) {
                    wrong.push(format!(
                        "{} under {word}, registered {registered}: fabric {fabric}, model {model}",
                        row[0]
                    ));
                }
                cells += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cells, 12 * rows.len());
}

/// A command of this name.
fn command(name: Name) -> Command {
    use redline_vocab::{Epoch, Extent, Lba, PrIn, Record, Serial};
    let extent = Extent { lba: Lba(0), blocks: 1 };
    match name {
        Name::Read => Command::Read(extent),
        Name::Write => {
            let record = Record { writer: NodeId(1), epoch: Epoch(0), serial: Serial(1) };
            Command::Write { extent, record }
        }
        Name::SynchronizeCache => Command::SynchronizeCache,
        Name::PersistentReserveIn => Command::PrIn(PrIn::ReadKeys),
        other => Command::Other(other),
    }
}
