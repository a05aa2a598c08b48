//! The situation of a command in words: what decides about its outcome, and nothing more.
//!
//! Two divergences in the same situation are one finding, so the words name the first rule that decides (an unregistered sender, a wrong
//! key, ...) and the class of the reservation rather than its type.

use super::story::pr_in_words;
use redline_model::Table;
use redline_model::lun::Lun;
use redline_vocab::{Command, Holder, Key, Name, Nexus, PortList, PrOut, PrType, ServiceAction};

/// What is asked and what decides about it.
pub fn of(lun: &Lun, nexus: Nexus, command: &Command) -> String {
    match command {
        Command::PrOut(order) if lun.legacy.is_some() => {
            format!("{} while RESERVE (SPC-2) is in force", order.action.name())
        }
        Command::PrIn(what) if lun.legacy.is_some() => {
            format!("{} while RESERVE (SPC-2) is in force", pr_in_words(*what))
        }
        Command::PrOut(order) => pr_out(&lun.table, nexus, order),
        Command::PrIn(what) => pr_in_words(*what).to_owned(),
        Command::Manage(function) => function.name().to_owned(),
        Command::LegacyReserve | Command::LegacyRelease if !lun.table.registered().is_empty() => {
            let name = if *command == Command::LegacyReserve { "RESERVE" } else { "RELEASE" };
            format!("{name} (SPC-2) while there are registrations")
        }
        other => other.name().map_or_else(String::new, |name| access(lun, nexus, name)),
    }
}

/// A class of types that the rules about releasing treat alike.
pub const fn class(kind: PrType) -> &'static str {
    match kind {
        PrType::WriteExclusive | PrType::ExclusiveAccess => "plain (WE or EA)",
        PrType::WriteExclusiveRegistrantsOnly | PrType::ExclusiveAccessRegistrantsOnly => {
            "registrants-only (WERO or EARO)"
        }
        PrType::WriteExclusiveAllRegistrants | PrType::ExclusiveAccessAllRegistrants => {
            "all-registrants (WEAR or EAAR)"
        }
    }
}

fn access(lun: &Lun, nexus: Nexus, name: Name) -> String {
    let (table, name) = (&lun.table, name.text());
    match lun.legacy {
        Some(holder) if holder == nexus => return format!("{name} by who has reserved with RESERVE"),
        Some(_) => return format!("{name} by another while RESERVE (SPC-2) is in force"),
        None => {}
    }
    let Some(held) = table.reservation else { return format!("{name} while nothing is reserved") };
    if table.holders().has(nexus) {
        return format!("{name} by the reservation holder");
    }
    let registered = table.registered().has(nexus);
    let under = match held.kind {
        PrType::WriteExclusive => "another's Write Exclusive",
        PrType::ExclusiveAccess => "another's Exclusive Access",
        _ if registered => return format!("{name} by a registrant under a registrants-only reservation"),
        PrType::WriteExclusiveRegistrantsOnly | PrType::WriteExclusiveAllRegistrants => {
            "Write Exclusive, Registrants Only or All Registrants"
        }
        PrType::ExclusiveAccessRegistrantsOnly | PrType::ExclusiveAccessAllRegistrants => {
            "Exclusive Access, Registrants Only or All Registrants"
        }
    };
    let who = if registered { "a registrant" } else { "an unregistered nexus" };
    format!("{name} by {who} under {under}")
}

fn pr_out(table: &Table, nexus: Nexus, order: &PrOut) -> String {
    let registered = table.registered().has(nexus);
    let fits = order.key == table.key(nexus);
    let name = order.action.name();
    match order.action {
        ServiceAction::Register if !fits && registered => format!("{name} with a wrong key"),
        ServiceAction::Register if !fits => {
            format!("{name} by an unregistered nexus with a key other than 0")
        }
        ServiceAction::Register | ServiceAction::RegisterAndIgnoreExistingKey => {
            register(table, nexus, order)
        }
        ServiceAction::ReplaceLostReservation => name.to_owned(),
        _ if !registered => format!("{name} by an unregistered nexus"),
        _ if !fits => format!("{name} with a wrong key by {}", standing(table, nexus)),
        ServiceAction::Reserve => reserve(table, nexus, order),
        ServiceAction::Release => release(table, nexus, order),
        ServiceAction::Clear => name.to_owned(),
        ServiceAction::Preempt | ServiceAction::PreemptAndAbort => preempt(table, nexus, order),
        ServiceAction::RegisterAndMove => register_and_move(table, nexus, order),
    }
}

fn standing(table: &Table, nexus: Nexus) -> &'static str {
    if table.reservation.is_none() {
        "a registrant while nothing is reserved"
    } else if table.holders().has(nexus) {
        "the holder"
    } else {
        "a registrant that holds nothing"
    }
}

fn register(table: &Table, nexus: Nexus, order: &PrOut) -> String {
    let name = order.action.name();
    let with = match (order.aptpl, order.all_tg_pt) {
        (true, _) => " with APTPL=1",
        (false, PortList::Absent) => "",
        (false, PortList::Of(_) | PortList::Invalid) => " with ALL_TG_PT=1",
    };
    match (table.key(nexus), order.service_key) {
        (Key(0), Key(0)) => format!("{name} of key 0 by an unregistered nexus{with}"),
        (Key(0), _) => format!("{name} of a new registrant{with}"),
        (_, Key(0)) => {
            let who = match table.reservation {
                None => "a registrant while nothing is reserved".to_owned(),
                Some(held) => match held.holder {
                    Holder::Nexus(holder) if holder == nexus => {
                        format!("the holder of a {} reservation", class(held.kind))
                    }
                    Holder::Nexus(_) => "a registrant that holds nothing".to_owned(),
                    Holder::AllRegistrants if table.registered().iter().count() == 1 => {
                        "the last registrant of an all-registrants reservation".to_owned()
                    }
                    Holder::AllRegistrants => "one of all registrants that hold".to_owned(),
                },
            };
            format!("unregistration ({name}) by {who}{with}")
        }
        _ => format!("{name} of another key{with}"),
    }
}

fn reserve(table: &Table, nexus: Nexus, order: &PrOut) -> String {
    let kind = PrType::from_code(order.kind).filter(|_| order.scope == 0);
    match (table.reservation, kind) {
        (_, None) => "RESERVE with an invalid type or scope".to_owned(),
        (None, Some(kind)) => format!("RESERVE of a {} type while nothing is reserved", class(kind)),
        (Some(held), Some(kind)) if table.holders().has(nexus) => {
            let what = if held.kind == kind { "the same type" } else { "another type" };
            format!("RESERVE of {what} by the holder")
        }
        (Some(_), Some(_)) => "RESERVE while another nexus holds a reservation".to_owned(),
    }
}

fn release(table: &Table, nexus: Nexus, order: &PrOut) -> String {
    let kind = PrType::from_code(order.kind).filter(|_| order.scope == 0);
    match table.reservation {
        None => "RELEASE while nothing is reserved".to_owned(),
        Some(_) if !table.holders().has(nexus) => "RELEASE by a registrant that holds nothing".to_owned(),
        Some(held) if kind != Some(held.kind) => "RELEASE of another type or scope by the holder".to_owned(),
        Some(held) => format!("RELEASE by the holder of a {} reservation", class(held.kind)),
    }
}

fn preempt(table: &Table, nexus: Nexus, order: &PrOut) -> String {
    let name = order.action.name();
    let named = table.with_key(order.service_key);
    let shared = matches!(table.reservation.map(|held| held.holder), Some(Holder::AllRegistrants));
    let whose = if order.service_key == Key(0) {
        "key 0"
    } else if named.is_empty() {
        "a key that nobody has"
    } else if !shared && !named.and(table.holders()).is_empty() {
        if table.holders().has(nexus) { "its own key as the holder" } else { "the holder's key" }
    } else if named.has(nexus) {
        "its own key"
    } else {
        "another registrant's key"
    };
    let under = match table.reservation {
        None => "while nothing is reserved",
        Some(_) if shared => "under an all-registrants reservation",
        Some(_) => "under a reservation with one holder",
    };
    let takes = whose.ends_with("the holder") || whose == "the holder's key" || shared && whose == "key 0";
    let kind = PrType::from_code(order.kind).filter(|_| order.scope == 0);
    let how = match table.reservation {
        Some(_) if takes && kind.is_none() => ", invalid type or scope",
        Some(held) if takes && kind != Some(held.kind) => ", another type",
        _ => "",
    };
    format!("{name} of {whose} {under}{how}")
}

fn register_and_move(table: &Table, nexus: Nexus, order: &PrOut) -> String {
    let name = order.action.name();
    match table.reservation.map(|held| held.holder) {
        None => format!("{name} while nothing is reserved"),
        Some(Holder::AllRegistrants) => format!("{name} of an all-registrants reservation"),
        Some(Holder::Nexus(holder)) if holder != nexus => {
            format!("{name} by a registrant that holds nothing")
        }
        Some(Holder::Nexus(_)) if order.service_key == Key(0) => format!("{name} of key 0 by the holder"),
        Some(Holder::Nexus(_)) if order.destination == Some(nexus) => format!("{name} to the holder itself"),
        Some(Holder::Nexus(_)) => format!("{name} by the holder"),
    }
}
