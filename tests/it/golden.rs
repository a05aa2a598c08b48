//! The tables of the standards, transcribed by hand, against the model and against the fabric. The rules stand in three
//! places on purpose; here they are compared cell by cell.

use crate::support::root;
use redline_harness::scenario;
use redline_harness::sim::{Notice, World, raw};
use redline_model::access;
use redline_model::lun::{Lun, Reaction, Rules};
use redline_model::{Attention, Set};
use redline_vocab::{
    Action, Command, Design, Disposition, Epoch, Event, Extent, Function, Holder, Key, Lba, LunView, Name,
    Nexus, Nexuses, NodeId, PortList, PrOut, PrType, Quirks, Record, Reply, Reservation, Sense, Serial,
    ServiceAction, Status, Tag,
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
    let tag = Tag(1);
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
    assert!(rows.len() >= 115, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let [before, who, asked, answer, after, generation, attentions, _clause] = &row[..] else {
            panic!("a row has eight cells: {row:?}")
        };
        let (before, who, order) = (state(before), nexus(who), order(asked));
        let answers: Vec<&str> = answer.split(" or ").collect();
        let afters: Vec<&str> = after.split(" or ").collect();
        let steps: Vec<&str> = generation.split(" or ").collect();
        let told: Vec<&str> = attentions.split(" or ").collect();
        let expected: Vec<Cells> = (0..answers.len().max(afters.len()))
            .map(|nth| {
                let pick = |cells: &[&str]| cells[nth.min(cells.len() - 1)].to_owned();
                [pick(&answers), pick(&afters), pick(&steps), pick(&told)]
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

/// The command of a row of the legacy table.
fn legacy_command(word: &str) -> Command {
    match word {
        "RESERVE" => Command::LegacyReserve,
        "RELEASE" => Command::LegacyRelease,
        "PERSISTENT RESERVE OUT" => Command::PrOut(PrOut {
            service_key: Key(1),
            ..PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey)
        }),
        text => command(*Name::ALL.iter().find(|name| name.text() == text).expect("the standard's names")),
    }
}

fn holder_words(holder: Option<Nexus>) -> String {
    holder.map_or_else(|| "-".to_owned(), |nexus| char::from(b'A' + nexus.0).to_string())
}

#[test]
fn the_legacy_reservation_does_what_the_table_says_in_model_and_fabric() {
    let rows = rows("legacy-reservation.tsv");
    assert!(rows.len() >= 50, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let [before, holder, who, asked, answer, after, _clause] = &row[..] else {
            panic!("a row has seven cells: {row:?}")
        };
        let (before, who, command) = (state(before), nexus(who), legacy_command(asked));
        let holder = (holder != "-").then(|| nexus(holder));
        let mut allowed: Vec<[String; 2]> =
            answer.split(" or ").map(|answer| [answer.to_owned(), after.clone()]).collect();

        let mut target = Target::with(&before);
        if let Some(holder) = holder {
            assert_eq!(target.ask(holder, Command::LegacyReserve).status, Status::Good);
        }
        let fabric =
            [answer_words(target.ask(who, command).status), holder_words(target.0.target().legacy_holder())];
        if fabric != allowed[0] {
            wrong.push(format!("{row:?}\n  fabric: {fabric:?}"));
        }

        let mut unit = lun(&before);
        unit.legacy = holder;
        let mut reactions = Vec::new();
        unit.reactions(RULES, who, &command, &mut reactions);
        let mut model: Vec<[String; 2]> = reactions
            .iter()
            .map(|reaction| {
                let mut after = unit.clone();
                after.react(RULES, who, Tag(1), reaction, &mut Vec::new());
                let status = match reaction {
                    Reaction::Refused(status) => *status,
                    _ => Status::Good,
                };
                [answer_words(status), holder_words(after.legacy)]
            })
            .collect();
        allowed.sort();
        model.sort();
        if model != allowed {
            wrong.push(format!("{row:?}\n  model: {model:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is left of both nexuses' state, as the table of resets has it.
type Left = [String; 7];

/// The function of a row, if it is one; `task` is a command of its sender.
fn function(what: &str, task: Tag) -> Option<Function> {
    match what {
        "ABORT TASK" => Some(Function::AbortTask(task)),
        "ABORT TASK SET" => Some(Function::AbortTaskSet),
        "CLEAR TASK SET" => Some(Function::ClearTaskSet),
        "LOGICAL UNIT RESET" => Some(Function::LogicalUnitReset),
        "TARGET WARM RESET" => Some(Function::TargetWarmReset),
        _ => None,
    }
}

fn life(lives: bool) -> String {
    if lives { "lives".to_owned() } else { "ends".to_owned() }
}

fn senses(found: impl Iterator<Item = Sense>) -> String {
    let words: Vec<String> = found.map(|sense| format!("{:02X}/{:02X}", sense.asc, sense.ascq)).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// `None` for what this start does not show.
fn left_by_fabric(what: &str, legacy: bool) -> [Option<String>; 7] {
    let [a, b, _] = NEXUSES;
    let aptpl = what.ends_with("APTPL");
    let mut target = Target::new();
    let write = |nexus: Nexus| {
        let extent = Extent { lba: Lba(0), blocks: 1 };
        let record = Record { writer: NodeId(nexus.0), epoch: Epoch(0), serial: Serial(1) };
        [Action::Command(nexus, Command::Write { extent, record }), Action::Dispatch(nexus)]
    };
    let make = |target: &mut Target, actions: &[Action]| {
        for action in actions {
            target.0.apply(*action, &mut Vec::new()).unwrap_or_else(|refused| panic!("{what}: {refused}"));
        }
    };
    make(&mut target, &write(b)[..usize::from(legacy) * 2]);
    if legacy {
        assert_eq!(target.ask(a, Command::LegacyReserve).status, Status::Good);
    } else {
        for (nexus, key) in [(a, Key(1)), (b, Key(2))] {
            let order = PrOut::new(ServiceAction::RegisterAndIgnoreExistingKey);
            target.ask(nexus, Command::PrOut(PrOut { service_key: key, aptpl, ..order }));
        }
        let kind = PrType::WriteExclusiveRegistrantsOnly.code();
        target.ask(a, Command::PrOut(PrOut { key: Key(1), kind, ..PrOut::new(ServiceAction::Reserve) }));
        make(&mut target, &write(b));
    }
    make(&mut target, &write(a));
    let before = target.0.target().view();
    let task = target.0.target().tags(b).last().expect("its write waits");
    let logins = NEXUSES.map(|nexus| Action::Login(NodeId(nexus.0)));
    match (what, function(what, task)) {
        (_, Some(function)) => {
            make(&mut target, &[Action::Command(b, Command::Manage(function)), Action::Dispatch(b)]);
            make(&mut target, &[Action::Receive(NodeId(b.0))]);
        }
        ("nexus loss of A", _) => make(&mut target, &[Action::Break(a), Action::Expire(a), logins[0]]),
        ("logout of A", _) => make(&mut target, &[Action::Logout(a), logins[0]]),
        _ => {
            make(&mut target, &[Action::PowerCycle]);
            make(&mut target, &logins);
        }
    }
    let lives = |nexus: Nexus| life(target.0.target().waiting(nexus).count() > 0);
    let tasks = [lives(a), lives(b)];
    let reserved = if target.0.target().legacy_holder() == Some(a) { "kept" } else { "released" };
    let after = target.0.target().view();
    let same = (after.registrants, after.reservation) == (before.registrants, before.reservation);
    // RESERVE would answer a probe with a conflict, and a conflict goes before an attention.
    let held = reserved == "kept" && legacy;
    let pending = if held { Vec::new() } else { target.drain() };
    let of = |nexus: Nexus| {
        let mine = pending.iter().filter(|(whose, _)| *whose == nexus).map(|(_, sense)| *sense);
        (!held).then(|| senses(mine))
    };
    let [task_a, task_b] = tasks;
    [
        of(a),
        of(b),
        of(NEXUSES[2]),
        legacy.then(|| reserved.to_owned()),
        (!legacy).then(|| if same { "kept".to_owned() } else { "cleared".to_owned() }),
        Some(task_a),
        Some(task_b),
    ]
}

fn left_by_model(what: &str) -> Vec<Left> {
    let [a, b, _] = NEXUSES;
    let mut unit = lun(&state("A:1 B:2|WERO A"));
    unit.table.aptpl = what.ends_with("APTPL");
    unit.persist();
    // Both kinds at once is nothing that the standard lets happen, and nothing here minds.
    unit.legacy = Some(a);
    for (nexus, tag) in [(a, Tag(1)), (b, Tag(2))] {
        let write = Reaction::Admitted(redline_model::lun::Kind::Write { tenure: 0 });
        unit.react(RULES, nexus, tag, &write, &mut Vec::new());
    }
    let table = unit.table;
    let mut ways = Vec::new();
    match (what, function(what, Tag(2))) {
        (_, Some(function)) => {
            let mut reactions = Vec::new();
            unit.reactions(RULES, b, &Command::Manage(function), &mut reactions);
            for reaction in reactions {
                let mut after = unit.clone();
                after.react(RULES, b, Tag(3), &reaction, &mut Vec::new());
                ways.push(after);
            }
        }
        ("nexus loss of A", _) => {
            unit.lose(RULES, a, &mut Vec::new());
            ways.push(unit);
        }
        ("logout of A", _) => ways.extend([false, true].map(|told| {
            let mut after = unit.clone();
            after.log_out(RULES, a, told, &mut Vec::new());
            after
        })),
        _ => {
            unit.power_cycle();
            ways.push(unit);
        }
    }
    let pending = |after: &Lun, nexus: Nexus| {
        let bits = after.pending[usize::from(nexus.0)];
        senses(Attention::ALL.into_iter().filter(|one| bits & (1 << *one as u8) != 0).map(Attention::sense))
    };
    let left = |after: &Lun| {
        let lives = |nexus: Nexus| life(after.tasks.iter().any(|task| task.nexus == nexus));
        let same = (after.table.keys, after.table.reservation) == (table.keys, table.reservation);
        [
            pending(after, a),
            pending(after, b),
            pending(after, NEXUSES[2]),
            if after.legacy == Some(a) { "kept".to_owned() } else { "released".to_owned() },
            if same { "kept".to_owned() } else { "cleared".to_owned() },
            lives(a),
            lives(b),
        ]
    };
    ways.iter().map(left).collect()
}

#[test]
fn resets_leave_what_the_table_says_in_model_and_fabric() {
    let rows = rows("resets.tsv");
    assert_eq!(rows.len(), 9);
    let mut wrong = Vec::new();
    for row in &rows {
        assert_eq!(row.len(), 9, "a row has nine cells: {row:?}");
        let cells: Vec<Vec<&str>> = row[1..8].iter().map(|cell| cell.split(" or ").collect()).collect();
        let ways = cells.iter().map(Vec::len).max().unwrap_or(0);
        let way = |nth: usize| -> Left {
            std::array::from_fn(|cell| cells[cell][nth.min(cells[cell].len() - 1)].to_owned())
        };
        let mut allowed: Vec<Left> = (0..ways).map(way).collect();
        for legacy in [false, true] {
            let fabric = left_by_fabric(&row[0], legacy);
            let fits = fabric
                .iter()
                .zip(&allowed[0])
                .all(|(seen, said)| seen.as_ref().is_none_or(|seen| seen == said));
            if !fits {
                wrong.push(format!("{row:?}\n  fabric, legacy {legacy}: {fabric:?}"));
            }
        }
        let mut model = left_by_model(&row[0]);
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
    use redline_vocab::PrIn;
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
