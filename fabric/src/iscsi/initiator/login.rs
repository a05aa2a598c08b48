//! The initiator's side of a login.

use super::{Failure, Initiator, Opening, Settings};
use crate::iscsi::chap::{self, Algorithm};
use crate::iscsi::negotiate::{self, Parameters, Purpose};
use crate::iscsi::pdu::{Header, LoginRequest, LoginResponse, Request, Stage, Writer};
use crate::iscsi::serial::Sn;
use crate::iscsi::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use redline_vocab::Tag;

/// Most requests in one login: a sound one needs seven at most.
const REQUESTS_MAX: u8 = 32;

/// A login under way.
#[derive(Clone, Debug)]
pub(super) struct Login {
    stage: Stage,
    requests: u8,
    cmd_sn: Sn,
    partial: Vec<u8>,
    /// The operational keys were proposed.
    proposed: bool,
    /// The algorithm that was answered with, if the target must prove itself now.
    mutual: Option<Algorithm>,
    group: Option<u16>,
}

impl Login {
    /// Sends the first request.
    pub(super) fn begin(settings: &Settings, cmd_sn: Sn, out: &mut Writer) -> Login {
        let secure = settings.credentials.is_some() || settings.opening == Opening::Security;
        let mut login = Login {
            stage: if secure { Stage::Security } else { Stage::Operational },
            requests: 0,
            cmd_sn,
            partial: Vec::new(),
            proposed: false,
            mutual: None,
            group: None,
        };
        let mut text = Text::default();
        text.put("InitiatorName", &settings.name);
        match &settings.target {
            Some(target) => {
                text.put("SessionType", "Normal");
                text.put("TargetName", target);
            }
            None => text.put("SessionType", "Discovery"),
        }
        let next = if settings.credentials.is_some() {
            text.put("AuthMethod", "CHAP");
            None
        } else if secure {
            text.put("AuthMethod", "None");
            Some(Stage::Operational)
        } else {
            login.propose(settings, &mut text);
            Some(Stage::FullFeature)
        };
        login.send(settings, next, &text, Sn(1), out);
        login
    }

    /// TargetPortalGroupTag.
    pub(super) fn group(&self) -> Option<u16> {
        self.group
    }

    /// Takes a response. True: the login is over.
    pub(super) fn step(
        &mut self,
        response: &LoginResponse,
        data: &[u8],
        settings: &Settings,
        exp_stat_sn: Sn,
        holds: &mut Parameters,
        out: &mut Writer,
    ) -> Result<bool, Failure> {
        if self.requests >= REQUESTS_MAX || self.partial.len() + data.len() > 65_536 {
            return Err(Failure::LoginWithoutEnd);
        }
        self.partial.extend_from_slice(data);
        if response.more {
            self.send(settings, None, &Text::default(), exp_stat_sn, out);
            return Ok(false);
        }
        let text = Text::read(&core::mem::take(&mut self.partial)).map_err(Failure::Text)?;
        for (key, value) in text.iter() {
            if key == "TargetPortalGroupTag" {
                self.group = value.parse().ok();
            }
            negotiate::conclude(&settings.offer, key, value, holds).map_err(Failure::Unfit)?;
        }
        let mut request = Text::default();
        let mut next = None;
        if self.stage == Stage::Security {
            next = self.secure(&text, settings, &mut request)?;
        }
        if let Some(granted) = response.next {
            self.stage = granted;
        }
        match self.stage {
            Stage::FullFeature => return Ok(true),
            Stage::Operational => {
                if !self.proposed {
                    self.propose(settings, &mut request);
                }
                next = Some(Stage::FullFeature);
            }
            Stage::Security => {}
        }
        self.send(settings, next, &request, exp_stat_sn, out);
        Ok(false)
    }

    /// The security stage: what to say to the target's text, and where to go.
    fn secure(
        &mut self,
        text: &Text,
        settings: &Settings,
        request: &mut Text,
    ) -> Result<Option<Stage>, Failure> {
        let onward = Some(Stage::Operational);
        let Some(credentials) = &settings.credentials else { return Ok(onward) };
        if let Some(algorithm) = self.mutual.take() {
            let account = credentials.target.as_ref().ok_or(Failure::Authentication)?;
            let sent = &credentials.challenge.bytes[..algorithm.challenge_length()];
            let due = algorithm.response(credentials.challenge.id, &account.secret, sent);
            let response = text.get("CHAP_R").and_then(chap::from_text).ok_or(Failure::Authentication)?;
            let named = text.get("CHAP_N") == Some(account.name.as_str());
            if !named || !chap::same(&due, &response) {
                return Err(Failure::Authentication);
            }
            return Ok(onward);
        }
        if let Some(method) = text.get("AuthMethod") {
            if method != "CHAP" {
                return Err(Failure::Authentication);
            }
            let offered: Vec<String> =
                credentials.algorithms.iter().map(|one| format!("{}", one.number())).collect();
            request.put("CHAP_A", offered.join(","));
            return Ok(None);
        }
        let Some(algorithm) = text.get("CHAP_A").and_then(Algorithm::from_text) else { return Ok(onward) };
        let id = text.get("CHAP_I").and_then(chap::number).ok_or(Failure::Authentication)?;
        let challenge = text.get("CHAP_C").and_then(chap::from_text).ok_or(Failure::Authentication)?;
        request.put("CHAP_N", &credentials.initiator.name);
        let response = algorithm.response(id, &credentials.initiator.secret, &challenge);
        request.put("CHAP_R", chap::to_text(&response));
        if credentials.target.is_some() {
            let own = &credentials.challenge;
            request.put("CHAP_I", own.id);
            request.put("CHAP_C", chap::to_text(&own.bytes[..algorithm.challenge_length()]));
            self.mutual = Some(algorithm);
        }
        Ok(onward)
    }

    fn propose(&mut self, settings: &Settings, text: &mut Text) {
        self.proposed = true;
        let purpose: Purpose = Initiator::purpose(settings);
        for (key, value) in negotiate::propose(&settings.offer, purpose).iter() {
            text.put(key, value);
        }
    }

    fn send(
        &mut self,
        settings: &Settings,
        next: Option<Stage>,
        text: &Text,
        exp_stat_sn: Sn,
        out: &mut Writer,
    ) {
        self.requests += 1;
        let header = LoginRequest {
            request: Request { immediate: true, cmd_sn: self.cmd_sn, exp_stat_sn },
            next,
            more: false,
            stage: self.stage,
            version_max: 0,
            version_min: 0,
            isid: settings.isid,
            tsih: settings.tsih,
            tag: Tag(0),
            cid: settings.cid,
        };
        out.put(&Header::LoginRequest(header), &[text.write()]);
    }
}
