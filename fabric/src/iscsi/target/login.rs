//! The target's side of a login (RFC 7143, 6.3; CHAP: 12.1.3).
//!
//! One Login Request may say everything, or many may say it bit by bit; the stages are security (0), operational (1), full feature (3).
//! A login ends in [`Progress::Ready`]: all is agreed, and the last response is prepared, but whether there is a session is for the
//! endpoint and the array to say.

use super::reason::{CloseReason, LoginStatus};
use super::{Config, Limits};
use crate::array::{InitiatorPort, TargetPort};
use crate::iscsi::chap::{self, Algorithm, Challenge};
use crate::iscsi::negotiate::{self, Key, Parameters, Purpose};
use crate::iscsi::pdu::{Frame, Header, LoginRequest, LoginResponse, Numbers, Stage, Writer};
use crate::iscsi::serial::Sn;
use crate::iscsi::text::Text;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use redline_vocab::Micros;

/// Longest iSCSI name, in bytes (RFC 7143, 4.2.7.1).
const NAME_MAX: usize = 223;

/// A login under way.
#[derive(Clone, Debug)]
pub(super) struct Login {
    port: TargetPort,
    challenge: Challenge,
    /// When it must be over.
    pub(super) deadline: Micros,
    first: Option<LoginRequest>,
    stage: Stage,
    partial: Vec<u8>,
    seen: BTreeSet<String>,
    identity: Option<(String, Purpose)>,
    security: Security,
    parameters: Parameters,
    declared: bool,
    stat_sn: Sn,
}

/// How far the proof of identity is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Security {
    /// Nothing was said.
    Open,
    /// AuthMethod=None was agreed on.
    None,
    /// AuthMethod=CHAP was agreed on.
    Chap,
    /// The challenge was sent.
    Challenged(Algorithm),
    /// The initiator has proved who it is.
    Proved,
}

/// What a login has agreed on.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub(super) initiator: InitiatorPort,
    pub(super) purpose: Purpose,
    pub(super) parameters: Parameters,
    pub(super) tsih: u16,
    pub(super) cid: u16,
    pub(super) cmd_sn: Sn,
    /// The StatSN of the last response.
    pub(super) stat_sn: Sn,
    /// The last response, without its TSIH.
    pub(super) response: LoginResponse,
    /// Its text.
    pub(super) text: Text,
}

/// Where a login is.
#[derive(Debug)]
pub(super) enum Progress {
    /// It goes on.
    More,
    /// It is agreed.
    Ready(Agreed),
}

impl Login {
    pub(super) fn new(port: TargetPort, challenge: Challenge, deadline: Micros) -> Login {
        Login {
            port,
            challenge,
            deadline,
            first: None,
            stage: Stage::Security,
            partial: Vec::new(),
            seen: BTreeSet::new(),
            identity: None,
            security: Security::Open,
            parameters: Parameters::INITIAL,
            declared: false,
            stat_sn: Sn(0),
        }
    }

    /// Bytes held of a text that is not complete.
    pub(super) fn held(&self) -> usize {
        self.partial.len()
    }

    /// Takes one PDU.
    ///
    /// # Errors
    ///
    /// The login is refused; its last response is written.
    pub(super) fn step(
        &mut self,
        frame: &Frame,
        config: &Config,
        out: &mut Writer,
    ) -> Result<Progress, CloseReason> {
        let Ok(Header::LoginRequest(request)) = frame.header else { return Err(CloseReason::NotLogin) };
        if self.first.is_none() {
            self.stage = request.stage;
            self.stat_sn = request.request.exp_stat_sn;
        }
        let first = *self.first.get_or_insert(request);
        match self.answer(&request, &first, frame, config) {
            Ok(Some((text, None))) => {
                self.send(&request, None, &text, &config.limits, out);
                Ok(Progress::More)
            }
            Ok(Some((text, Some(Stage::FullFeature)))) => {
                Ok(Progress::Ready(self.agree(&request, text, &config.limits)))
            }
            Ok(Some((text, Some(next)))) => {
                self.send(&request, Some(next), &text, &config.limits, out);
                self.stage = next;
                Ok(Progress::More)
            }
            Ok(None) => {
                self.send(&request, None, &Text::default(), &config.limits, out);
                Ok(Progress::More)
            }
            Err(status) => {
                let response = self.response(&request, None, status, &config.limits);
                out.put(&Header::LoginResponse(response), &[]);
                Err(CloseReason::LoginRefused(status))
            }
        }
    }

    /// The text of the answer, and the stage that is gone to. None: the request's text is not complete.
    fn answer(
        &mut self,
        request: &LoginRequest,
        first: &LoginRequest,
        frame: &Frame,
        config: &Config,
    ) -> Result<Option<(Text, Option<Stage>)>, LoginStatus> {
        if request.version_min > 0 {
            return Err(LoginStatus::UnsupportedVersion);
        }
        let same_session = (request.isid, request.tsih, request.cid) == (first.isid, first.tsih, first.cid);
        if !same_session || request.stage != self.stage || request.stage == Stage::FullFeature {
            return Err(LoginStatus::InitiatorError);
        }
        if self.partial.len() + frame.data.len() > config.limits.text_max as usize {
            return Err(LoginStatus::InitiatorError);
        }
        frame.data.pieces().for_each(|piece| self.partial.extend_from_slice(piece));
        if request.more {
            return Ok(None);
        }
        let text =
            Text::read(&core::mem::take(&mut self.partial)).map_err(|_| LoginStatus::InitiatorError)?;
        if !text.iter().all(|(key, _)| self.seen.insert(key.to_string())) {
            return Err(LoginStatus::InitiatorError);
        }
        let mut answer = Text::default();
        if self.identity.is_none() {
            self.identify(&text, config, &mut answer)?;
        }
        if request.stage == Stage::Security {
            self.secure(&text, config, &mut answer)?;
        }
        self.operate(request.stage, &text, config, &mut answer);
        let next = self.next_stage(request, &text, config)?;
        Ok(Some((answer, next)))
    }

    /// Who it is and what it wants.
    fn identify(&mut self, text: &Text, config: &Config, answer: &mut Text) -> Result<(), LoginStatus> {
        let name = text.get("InitiatorName").ok_or(LoginStatus::MissingParameter)?;
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(LoginStatus::InitiatorError);
        }
        let purpose = match text.get("SessionType") {
            None | Some("Normal") => Purpose::Normal,
            Some("Discovery") => Purpose::Discovery,
            Some(_) => return Err(LoginStatus::UnsupportedSessionType),
        };
        match (purpose, text.get("TargetName")) {
            (Purpose::Normal, None) => return Err(LoginStatus::MissingParameter),
            (_, Some(target)) if !target.eq_ignore_ascii_case(&config.name) => {
                return Err(LoginStatus::NotFound);
            }
            (Purpose::Normal, Some(_)) => answer.put("TargetPortalGroupTag", self.port.0),
            (Purpose::Discovery, _) => {}
        }
        self.identity = Some((name.to_ascii_lowercase(), purpose));
        Ok(())
    }

    /// The security stage's keys.
    fn secure(&mut self, text: &Text, config: &Config, answer: &mut Text) -> Result<(), LoginStatus> {
        if let Some(methods) = text.get("AuthMethod") {
            let method = if config.chap.is_some() { "CHAP" } else { "None" };
            if !methods.split(',').any(|one| one == method) {
                return Err(LoginStatus::AuthenticationFailed);
            }
            answer.put("AuthMethod", method);
            self.security = if config.chap.is_some() { Security::Chap } else { Security::None };
        }
        if let Some(algorithms) = text.get("CHAP_A") {
            let known = algorithms.split(',').find_map(Algorithm::from_text);
            let (Security::Chap, Some(algorithm)) = (self.security, known) else {
                return Err(LoginStatus::AuthenticationFailed);
            };
            answer.put("CHAP_A", algorithm.number());
            answer.put("CHAP_I", self.challenge.id);
            answer.put("CHAP_C", chap::to_text(&self.challenge.bytes[..algorithm.challenge_length()]));
            self.security = Security::Challenged(algorithm);
        } else if text.get("CHAP_R").is_some() || text.get("CHAP_N").is_some() {
            self.prove(text, config, answer)?;
        }
        Ok(())
    }

    /// The initiator's answer to the challenge, and the answer to its own if it has one.
    fn prove(&mut self, text: &Text, config: &Config, answer: &mut Text) -> Result<(), LoginStatus> {
        let failed = LoginStatus::AuthenticationFailed;
        let (Security::Challenged(algorithm), Some(accounts)) = (self.security, &config.chap) else {
            return Err(failed);
        };
        let name = text.get("CHAP_N").ok_or(failed)?;
        let response = text.get("CHAP_R").and_then(chap::from_text).ok_or(failed)?;
        let sent = &self.challenge.bytes[..algorithm.challenge_length()];
        let due = algorithm.response(self.challenge.id, &accounts.initiator.secret, sent);
        if !chap::same(&due, &response) || name != accounts.initiator.name {
            return Err(failed);
        }
        match (text.get("CHAP_I"), text.get("CHAP_C"), &accounts.target) {
            (None, None, _) => {}
            (Some(id), Some(challenge), Some(account)) => {
                let id = chap::number(id).ok_or(failed)?;
                let challenge = chap::from_text(challenge).ok_or(failed)?;
                // A challenge that comes back is an initiator that lets the target answer for it.
                if challenge == sent {
                    return Err(failed);
                }
                answer.put("CHAP_N", &account.name);
                answer.put("CHAP_R", chap::to_text(&algorithm.response(id, &account.secret, &challenge)));
            }
            _ => return Err(failed),
        }
        self.security = Security::Proved;
        Ok(())
    }

    /// Every other key, and what the target declares of itself.
    fn operate(&mut self, stage: Stage, text: &Text, config: &Config, answer: &mut Text) {
        let purpose = self.identity.as_ref().map_or(Purpose::Normal, |(_, purpose)| *purpose);
        for (name, value) in text.iter() {
            let known = matches!(
                name,
                "InitiatorName" | "InitiatorAlias" | "TargetName" | "SessionType" | "AuthMethod"
            ) || name.starts_with("CHAP_") && stage == Stage::Security;
            if known {
                continue;
            }
            if let Some(settled) =
                negotiate::answer(&config.offer, purpose, name, value, &mut self.parameters)
            {
                answer.put(name, settled);
            }
        }
        if stage == Stage::Operational && !self.declared {
            self.declared = true;
            answer.put(Key::MaxRecvDataSegmentLength.name(), config.offer.receive_max);
        }
    }

    /// Where the login goes, if the initiator is ready to go on and the target is.
    fn next_stage(
        &self,
        request: &LoginRequest,
        text: &Text,
        config: &Config,
    ) -> Result<Option<Stage>, LoginStatus> {
        if config.chap.is_none() || self.security == Security::Proved {
            return Ok(request.next);
        }
        // Proof is wanted. Who begins past the security stage, or wants to leave it without a word about it, will not give any.
        let silent = text.get("AuthMethod").is_none() && self.security == Security::Open;
        if request.stage == Stage::Operational || silent && request.next.is_some() {
            return Err(LoginStatus::AuthenticationFailed);
        }
        Ok(None)
    }

    fn agree(&mut self, request: &LoginRequest, text: Text, limits: &Limits) -> Agreed {
        let (name, purpose) = self.identity.clone().expect("a stage ends only after the names were given");
        let mut parameters = self.parameters;
        parameters.first_burst_max = parameters.first_burst_max.min(parameters.burst_max);
        Agreed {
            initiator: InitiatorPort { name, isid: request.isid },
            purpose,
            parameters,
            tsih: request.tsih,
            cid: request.cid,
            cmd_sn: request.request.cmd_sn,
            stat_sn: self.stat_sn,
            response: self.response(request, Some(Stage::FullFeature), LoginStatus::Success, limits),
            text,
        }
    }

    fn send(
        &mut self,
        request: &LoginRequest,
        next: Option<Stage>,
        text: &Text,
        limits: &Limits,
        out: &mut Writer,
    ) {
        let response = self.response(request, next, LoginStatus::Success, limits);
        out.put(&Header::LoginResponse(response), &[text.write()]);
        self.stat_sn = self.stat_sn.next();
    }

    fn response(
        &self,
        request: &LoginRequest,
        next: Option<Stage>,
        status: LoginStatus,
        limits: &Limits,
    ) -> LoginResponse {
        LoginResponse {
            next,
            more: false,
            stage: request.stage,
            version_max: 0,
            version_active: 0,
            isid: request.isid,
            tsih: request.tsih,
            tag: request.tag,
            numbers: Numbers {
                stat_sn: self.stat_sn,
                exp_cmd_sn: request.request.cmd_sn,
                max_cmd_sn: request.request.cmd_sn.plus(limits.window - 1),
            },
            status: status.code(),
        }
    }
}
