//! The words of a trace and their names on the wire.

use super::cursor::{Cursor, Refusal, Taken};
use super::forms::{
    Definitions, Wire, defined, fields, itf_record, itf_variant, object_schema, wire_enum, wire_struct,
};
use crate::header::Digest;
use crate::{Arm, Footer, Header, Initiators, Problem, Stamped, Visibility};
use redline_vocab::{
    Block, Capabilities, Command, Data, Design, Direction, Disposition, Epoch, Event, Extent, Fault,
    FullStatusEntry, Function, Generation, Held, Holder, Key, Lba, LossReason, LunView, Managed, Micros,
    Name, Nexus, NodeId, PortList, PrIn, PrOut, PrType, Quirks, Record, Reply, Reservation, Sense, Serial,
    ServiceAction, Status, Tag,
};
use serde_json::{Value, json};

/// The format's name; a type of its own, so that no other name is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Trace,
}

/// Line 1.
pub(crate) struct HeaderLine {
    pub(crate) format: Format,
    pub(crate) version: u32,
    pub(crate) header: Header,
}

/// The last line.
pub(crate) struct FooterLine {
    pub(crate) footer: Footer,
}

/// One registrant of a view, which `vocab` keeps as a pair.
struct Registrant {
    nexus: Nexus,
    key: Key,
}

wire_enum! { Format, "format": plain { Trace = "redline-trace" } }
wire_struct! {
    HeaderLine { "format" format: Format, "version" version: u32, "header" header: Header }
    FooterLine { "footer" footer: Footer }
    Stamped { "seq" seq: u64, "at" at: Micros, "event" event: Event }
    Header {
        "redline" redline: String,
        "arm" arm: Arm,
        "visibility" visibility: Visibility,
        "initiators" initiators: Initiators,
        "scenario" scenario: String,
        "seed" seed: String,
        "nodes" nodes: u8,
        "nexuses" nexuses: u8,
        "blocks" blocks: u64,
        "keys" keys: Vec<Key>,
        "design" design: Design,
        "quirks" quirks: Quirks,
    }
    Footer { "events" events: u64, "digest" digest: Digest }
}
wire_enum! { Arm, "arm": plain {
    Simulation = "simulation", Replay = "replay", Exploration = "exploration", Process = "process", Foreign = "foreign",
} }
wire_enum! { Visibility, "visibility": plain { Internal = "internal", Client = "client" } }
wire_enum! { Initiators, "kind of initiators": plain { Guests = "guests", Raw = "raw" } }

impl Wire for Digest {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("\"{self}\"").as_bytes());
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        const WHAT: &str = "a digest of 16 hexadecimal digits in lower case";
        let offset = cursor.mark();
        let text = cursor.name(WHAT)?;
        // One digest has one spelling, so that no byte of a footer can change unnoticed.
        match u64::from_str_radix(text, 16).map(Digest) {
            Ok(digest) if digest.to_string() == text => Ok(digest),
            Ok(_) | Err(_) => {
                let found = format!("\"{text}\"");
                Err(cursor.refuse(offset, Problem::Expected { what: WHAT, found }))
            }
        }
    }
    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
    }
    fn itf(&self) -> Value {
        json!(self.to_string())
    }
}

wire_enum! { Event, "event":
    plain { TablePersisted = "table-persisted", PowerLost = "power-lost" }
    fields {
        Issued = "issued" { "node" node: NodeId, "extent" extent: Extent, "record" record: Record },
        Sent = "sent" { "nexus" nexus: Nexus, "tag" tag: Tag, "command" command: Command },
        Dispatched = "dispatched" { "nexus" nexus: Nexus, "tag" tag: Tag, "disposition" disposition: Disposition },
        Submitted = "submitted" { "nexus" nexus: Nexus, "tag" tag: Tag },
        Committed = "committed" { "nexus" nexus: Nexus, "tag" tag: Tag },
        Aborted = "aborted" { "nexus" nexus: Nexus, "tag" tag: Tag },
        Replied = "replied" { "nexus" nexus: Nexus, "tag" tag: Tag, "reply" reply: Reply },
        Received = "received" { "nexus" nexus: Nexus, "tag" tag: Tag, "reply" reply: Reply },
        Forgotten = "forgotten" { "nexus" nexus: Nexus, "tag" tag: Tag },
        TableChanged = "table-changed" { "view" view: LunView },
        LoggedIn = "logged-in" { "node" node: NodeId, "nexus" nexus: Nexus },
        ConnectionLost = "connection-lost" { "nexus" nexus: Nexus },
        LoggedOut = "logged-out" { "nexus" nexus: Nexus },
        NexusLost = "nexus-lost" { "nexus" nexus: Nexus },
        PoweredOn = "powered-on" { "view" view: LunView },
        Challenged = "challenged" { "node" node: NodeId },
        WaitEnded = "wait-ended" { "node" node: NodeId },
        Defended = "defended" { "node" node: NodeId },
        Owned = "owned" { "node" node: NodeId, "epoch" epoch: Epoch },
        Lost = "lost" { "node" node: NodeId, "reason" reason: LossReason },
        Fence = "fence" { "node" node: NodeId, "open" open: bool },
        Drained = "drained" { "node" node: NodeId, "writes" writes: u32 },
        Stalled = "stalled" { "node" node: NodeId },
        Woke = "woke" { "node" node: NodeId },
        Crashed = "crashed" { "node" node: NodeId },
        Restarted = "restarted" { "node" node: NodeId },
        FaultInjected = "fault-injected" { "fault" fault: Fault },
        FaultHealed = "fault-healed" { "fault" fault: Fault },
    }
}
wire_enum! { LossReason, "reason": plain {
    KeyMissing = "key-missing", TableEmpty = "table-empty", Conflict = "conflict", HolderChanged = "holder-changed",
    Beaten = "beaten", NotConfirmed = "not-confirmed", Disconnected = "disconnected", Unreadable = "unreadable",
} }

wire_struct! {
    Extent { "lba" lba: Lba, "blocks" blocks: u16 }
    Record { "writer" writer: NodeId, "epoch" epoch: Epoch, "serial" serial: Serial }
    PrOut {
        "action" action: ServiceAction,
        "key" key: Key,
        "service-key" service_key: Key,
        "scope" scope: u8,
        "type" kind: u8,
        "aptpl" aptpl: bool,
        "spec-i-pt" spec_i_pt: PortList,
        "all-tg-pt" all_tg_pt: PortList,
        "unreg" unreg: bool,
        "destination" destination: Option<Nexus>,
    }
}
wire_enum! { Command, "command":
    plain {
        SynchronizeCache = "synchronize-cache", LegacyReserve = "legacy-reserve", LegacyRelease = "legacy-release",
    }
    holds {
        Read(Extent) = "read", PrIn(PrIn) = "pr-in", PrOut(PrOut) = "pr-out", Manage(Function) = "manage",
        Other(Name) = "other",
    }
    fields { Write = "write" { "extent" extent: Extent, "record" record: Record } }
}
wire_enum! { Function, "task management function":
    plain {
        AbortTaskSet = "abort-task-set", ClearTaskSet = "clear-task-set", LogicalUnitReset = "logical-unit-reset",
        TargetWarmReset = "target-warm-reset", TargetColdReset = "target-cold-reset",
    }
    holds { AbortTask(Tag) = "abort-task" }
}
wire_enum! { Managed, "task management response": plain {
    Complete = "complete", NoSuchTask = "no-such-task",
} }
wire_enum! { PrType, "reservation type": plain {
    WriteExclusive = "write-exclusive",
    ExclusiveAccess = "exclusive-access",
    WriteExclusiveRegistrantsOnly = "write-exclusive-registrants-only",
    ExclusiveAccessRegistrantsOnly = "exclusive-access-registrants-only",
    WriteExclusiveAllRegistrants = "write-exclusive-all-registrants",
    ExclusiveAccessAllRegistrants = "exclusive-access-all-registrants",
} }
wire_enum! { PrIn, "PERSISTENT RESERVE IN service action": plain {
    ReadKeys = "read-keys", ReadReservation = "read-reservation", ReportCapabilities = "report-capabilities",
    ReadFullStatus = "read-full-status",
} }
wire_enum! { ServiceAction, "PERSISTENT RESERVE OUT service action": plain {
    Register = "register",
    Reserve = "reserve",
    Release = "release",
    Clear = "clear",
    Preempt = "preempt",
    PreemptAndAbort = "preempt-and-abort",
    RegisterAndIgnoreExistingKey = "register-and-ignore-existing-key",
    RegisterAndMove = "register-and-move",
    ReplaceLostReservation = "replace-lost-reservation",
} }

wire_enum! { Disposition, "disposition":
    plain { Enabled = "enabled", Held = "held" }
    holds { Answered(Status) = "answered" }
}
wire_enum! { Status, "status":
    plain {
        Good = "GOOD", ReservationConflict = "RESERVATION CONFLICT", TaskSetFull = "TASK SET FULL",
        TaskAborted = "TASK ABORTED",
    }
    holds { CheckCondition(Sense) = "CHECK CONDITION" }
}
wire_struct! {
    Reply { "status" status: Status, "data" data: Data }
    Held { "key" key: Key, "type" kind: PrType }
    Capabilities { "crh" crh: bool, "sip-c" sip_c: bool, "atp-c" atp_c: bool, "ptpl-c" ptpl_c: bool, "ptpl-a" ptpl_a: bool }
    FullStatusEntry { "nexus" nexus: Nexus, "key" key: Key, "holds" holds: Option<PrType> }
}
wire_enum! { Data, "data":
    plain { Nothing = "nothing" }
    holds {
        Capabilities(Capabilities) = "capabilities", Blocks(Vec<Block>) = "blocks", Managed(Managed) = "managed",
    }
    fields {
        Keys = "keys" { "generation" generation: Generation, "keys" keys: Vec<Key> },
        Reservation = "reservation" { "generation" generation: Generation, "held" held: Option<Held> },
        FullStatus = "full-status" { "generation" generation: Generation, "entries" entries: Vec<FullStatusEntry> },
    }
}
wire_enum! { Block, "block":
    plain { Blank = "blank", Corrupt = "corrupt" }
    holds { Of(Record) = "of" }
}

wire_struct! {
    Registrant { "nexus" nexus: Nexus, "key" key: Key }
    Reservation { "type" kind: PrType, "holder" holder: Holder }
    LunView {
        "generation" generation: Generation,
        "registrants" registrants: Vec<(Nexus, Key)>,
        "reservation" reservation: Option<Reservation>,
        "aptpl" aptpl: bool,
    }
}
wire_enum! { Holder, "holder": plain { AllRegistrants = "all-registrants" } holds { Nexus(Nexus) = "nexus" } }

impl Wire for (Nexus, Key) {
    fn put(&self, out: &mut Vec<u8>) {
        Registrant { nexus: self.0, key: self.1 }.put(out);
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        Registrant::take(cursor).map(|Registrant { nexus, key }| (nexus, key))
    }
    fn schema(definitions: &mut Definitions) -> Value {
        Registrant::schema(definitions)
    }
    fn itf(&self) -> Value {
        Registrant { nexus: self.0, key: self.1 }.itf()
    }
}

wire_enum! { Direction, "direction": plain {
    ToTarget = "to-target", ToInitiator = "to-initiator", Both = "both",
} }

/// A fault as the wire has it: `vocab` numbers the parts, the wire names them.
enum FaultForm {
    PowerCycle,
    TornWrite,
    Corruption,
    DiskSlow,
    DiskError,
    ConnectionReset { nexus: Nexus },
    ConnectionStall { nexus: Nexus },
    Partition { nexus: Nexus, direction: Direction },
    HeartbeatLoss { node: NodeId, other: NodeId },
    NodePause { node: NodeId },
    NodeCrash { node: NodeId },
    ClockSkew { node: NodeId, permille: i16 },
    ClockJump { node: NodeId, forward: Micros },
}

wire_enum! { FaultForm, "fault":
    plain {
        PowerCycle = "power-cycle", TornWrite = "torn-write", Corruption = "corruption", DiskSlow = "disk-slow",
        DiskError = "disk-error",
    }
    fields {
        ConnectionReset = "connection-reset" { "nexus" nexus: Nexus },
        ConnectionStall = "connection-stall" { "nexus" nexus: Nexus },
        Partition = "partition" { "nexus" nexus: Nexus, "direction" direction: Direction },
        HeartbeatLoss = "heartbeat-loss" { "node" node: NodeId, "other" other: NodeId },
        NodePause = "node-pause" { "node" node: NodeId },
        NodeCrash = "node-crash" { "node" node: NodeId },
        ClockSkew = "clock-skew" { "node" node: NodeId, "permille" permille: i16 },
        ClockJump = "clock-jump" { "node" node: NodeId, "forward" forward: Micros },
    }
}

impl From<Fault> for FaultForm {
    fn from(fault: Fault) -> FaultForm {
        match fault {
            Fault::ConnectionReset(nexus) => FaultForm::ConnectionReset { nexus },
            Fault::ConnectionStall(nexus) => FaultForm::ConnectionStall { nexus },
            Fault::Partition(nexus, direction) => FaultForm::Partition { nexus, direction },
            Fault::HeartbeatLoss(node, other) => FaultForm::HeartbeatLoss { node, other },
            Fault::NodePause(node) => FaultForm::NodePause { node },
            Fault::NodeCrash(node) => FaultForm::NodeCrash { node },
            Fault::ClockSkew(node, permille) => FaultForm::ClockSkew { node, permille },
            Fault::ClockJump(node, forward) => FaultForm::ClockJump { node, forward },
            Fault::PowerCycle => FaultForm::PowerCycle,
            Fault::TornWrite => FaultForm::TornWrite,
            Fault::Corruption => FaultForm::Corruption,
            Fault::DiskSlow => FaultForm::DiskSlow,
            Fault::DiskError => FaultForm::DiskError,
        }
    }
}

impl From<FaultForm> for Fault {
    fn from(form: FaultForm) -> Fault {
        match form {
            FaultForm::ConnectionReset { nexus } => Fault::ConnectionReset(nexus),
            FaultForm::ConnectionStall { nexus } => Fault::ConnectionStall(nexus),
            FaultForm::Partition { nexus, direction } => Fault::Partition(nexus, direction),
            FaultForm::HeartbeatLoss { node, other } => Fault::HeartbeatLoss(node, other),
            FaultForm::NodePause { node } => Fault::NodePause(node),
            FaultForm::NodeCrash { node } => Fault::NodeCrash(node),
            FaultForm::ClockSkew { node, permille } => Fault::ClockSkew(node, permille),
            FaultForm::ClockJump { node, forward } => Fault::ClockJump(node, forward),
            FaultForm::PowerCycle => Fault::PowerCycle,
            FaultForm::TornWrite => Fault::TornWrite,
            FaultForm::Corruption => Fault::Corruption,
            FaultForm::DiskSlow => Fault::DiskSlow,
            FaultForm::DiskError => Fault::DiskError,
        }
    }
}

impl Wire for Fault {
    fn put(&self, out: &mut Vec<u8>) {
        FaultForm::from(*self).put(out);
    }
    fn take(cursor: &mut Cursor<'_>) -> Taken<Self> {
        FaultForm::take(cursor).map(Fault::from)
    }
    fn schema(definitions: &mut Definitions) -> Value {
        FaultForm::schema(definitions)
    }
    fn itf(&self) -> Value {
        FaultForm::from(*self).itf()
    }
}

wire_enum! { Name, "command": plain {
    Inquiry = "inquiry",
    ReportLuns = "report-luns",
    RequestSense = "request-sense",
    TestUnitReady = "test-unit-ready",
    LogSense = "log-sense",
    PersistentReserveIn = "persistent-reserve-in",
    PersistentReserveOut = "persistent-reserve-out",
    ReadCapacity = "read-capacity",
    ReportTargetPortGroups = "report-target-port-groups",
    ReportAliases = "report-aliases",
    ReportIdentifyingInformation = "report-identifying-information",
    ReportPriority = "report-priority",
    ReportTimestamp = "report-timestamp",
    ReadMediaSerialNumber = "read-media-serial-number",
    AccessControlIn = "access-control-in",
    AccessControlOut = "access-control-out",
    ReportReferrals = "report-referrals",
    StartUnit = "start-unit",
    AllowMediumRemoval = "allow-medium-removal",
    Read = "read",
    Verify = "verify",
    PreFetch = "pre-fetch",
    GetLbaStatus = "get-lba-status",
    ReadDefectData = "read-defect-data",
    PopulateToken = "populate-token",
    ModeSense = "mode-sense",
    ReadBuffer = "read-buffer",
    ReadAttribute = "read-attribute",
    ReceiveDiagnosticResults = "receive-diagnostic-results",
    ReportSupportedOperationCodes = "report-supported-operation-codes",
    ReportSupportedTaskManagementFunctions = "report-supported-task-management-functions",
    SecurityProtocolIn = "security-protocol-in",
    ManagementProtocolIn = "management-protocol-in",
    Write = "write",
    WriteAndVerify = "write-and-verify",
    WriteSame = "write-same",
    WriteAtomic = "write-atomic",
    OrWrite = "orwrite",
    CompareAndWrite = "compare-and-write",
    Unmap = "unmap",
    SynchronizeCache = "synchronize-cache",
    FormatUnit = "format-unit",
    Sanitize = "sanitize",
    WriteLong = "write-long",
    ReadLong = "read-long",
    ReassignBlocks = "reassign-blocks",
    WriteUsingToken = "write-using-token",
    ExtendedCopy = "extended-copy",
    ReceiveCopyResults = "receive-copy-results",
    ModeSelect = "mode-select",
    LogSelect = "log-select",
    SendDiagnostic = "send-diagnostic",
    WriteBuffer = "write-buffer",
    SetTargetPortGroups = "set-target-port-groups",
    SetTimestamp = "set-timestamp",
    SecurityProtocolOut = "security-protocol-out",
    StopUnit = "stop-unit",
    PreventMediumRemoval = "prevent-medium-removal",
    LegacyReserve = "legacy-reserve",
    LegacyRelease = "legacy-release",
} }
