//! The guard of one listener on one worker.

use std::net::IpAddr;
use std::sync::Arc;

use header_rules::{
    Edits, GuardVerdict, MovedToken, PROTOCOLS, Preflight, Reader, Reason, Refusal, RequestId, RequestIds,
    Rules, shown,
};
use lease::Now;

use crate::counters::Counters;
use crate::host::{self, Action, HostError};
use crate::leasing::Leasing;
use crate::note::{CLIENT, NAVIGATION, READER_CREDENTIALS, READER_EXPOSE, READER_ORIGIN, RECEIVED_ID};

/// The rules of one listener, with the worker's own source of request ids and its own access to leases.
pub(crate) struct Guard {
    rules: Arc<Rules>,
    refuses_http_1_0: bool,
    ids: RequestIds,
    counters: Counters,
    leasing: Option<Leasing>,
}

impl Guard {
    /// A guard with `rules`. Without `leasing`, every request is checked.
    pub(crate) fn new(
        rules: Arc<Rules>,
        refuses_http_1_0: bool,
        counters: Counters,
        leasing: Option<Leasing>,
    ) -> Result<Self, HostError> {
        Ok(Self { rules, refuses_http_1_0, ids: RequestIds::new(host::random()?), counters, leasing })
    }

    /// Judges the current request and applies the verdict through the host. On an error the state of the request is unknown,
    /// and it must not continue. `now` is called only when the time matters.
    pub(crate) fn request_headers(
        &mut self,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        let headers = host::request_headers()?;
        let peer = self.peer()?;
        match self.rules.judge_from(&headers, peer.as_deref()) {
            GuardVerdict::Forward(edits) if self.refuses_version(&edits)? => {
                let Edits { request_id, replaced_id, arrival, scheme, reader, .. } = edits;
                let client = arrival.map(|arrival| arrival.address);
                let reason = Reason::OldVersion;
                self.refuse(Refusal { reason, request_id, replaced_id, client, scheme, reader }, now)
            }
            GuardVerdict::Forward(edits) => {
                for removal in &edits.removals {
                    host::remove_request_header(removal.name)?;
                    self.counters.stripped(removal.rule, removal.lines)?;
                }
                if let Some(MovedToken { authorization, protocols }) = &edits.token {
                    host::set_request_header(b"authorization", authorization)?;
                    host::set_request_header(PROTOCOLS.as_bytes(), protocols)?;
                }
                let arrived = arrive(&edits)?;
                if !edits.removals.is_empty() || arrived || edits.token.is_some() {
                    // Routes may match any header: the chosen route may depend on a forged one.
                    host::choose_route_anew()?;
                }
                if let Some(reader) = &edits.reader {
                    note_reader(reader)?;
                }
                if edits.navigates {
                    host::note(&NAVIGATION, b"1")?;
                }
                let mint = edits.request_id == RequestId::Mint;
                let lease = self.leasing.as_mut().zip(edits.lease);
                if mint || lease.is_some() {
                    let now = now()?;
                    if mint {
                        self.counters.minted()?;
                        host::set_request_header(
                            self.rules.request_id_header(),
                            &self.ids.mint(now.wall_ms),
                        )?;
                    }
                    if let Some((leasing, candidate)) = lease
                        && let Some(taken) = leasing.take(&candidate, now)
                    {
                        leasing.serve(&taken, candidate.route)?;
                    }
                }
                Ok(Action::Continue)
            }
            GuardVerdict::Refuse(refusal) => self.refuse(refusal, now),
            GuardVerdict::Answer(preflight) => self.preflight(&preflight, now),
        }
    }

    /// The addresses of the connection, where the rules need them.
    fn peer(&self) -> Result<Option<Vec<u8>>, HostError> {
        if self.rules.needs_peer() { host::peer().map(Some) } else { Ok(None) }
    }

    /// Whether the current request came in HTTP/1.0 and must not.
    fn refuses_version(&self, edits: &Edits<'_>) -> Result<bool, HostError> {
        let refuses = self.refuses_http_1_0 && !self.rules.accepts_http_1_0_of(edits.arrival.as_ref());
        Ok(refuses && host::is_http_1_0()?)
    }

    /// Answers the current request with a refusal.
    fn refuse(
        &mut self,
        refusal: Refusal<'_>,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        let Refusal { reason, request_id, replaced_id, client, scheme, reader } = refusal;
        note(client, replaced_id)?;
        correct(scheme)?;
        self.settle(request_id, now)?;
        if let Some(reader) = &reader {
            note_reader(reader)?;
        }
        self.counters.refused(reason)?;
        // Envoy removes `Upgrade` and `Connection` from an answer unless the request has them, too.
        for (name, value) in reason.headers() {
            host::set_request_header(name.as_bytes(), value.as_bytes())?;
        }
        let details = format!("edge_guard_{}", reason.code());
        let headers: Vec<_> =
            reason.headers().iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        host::answer(reason.status(), &details, reason.body(), &headers)?;
        Ok(Action::Pause)
    }

    /// Answers the current request, which is a preflight.
    fn preflight(
        &mut self,
        preflight: &Preflight<'_>,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Action, HostError> {
        let Preflight { headers, request_id, replaced_id, client, scheme } = preflight;
        note(*client, *replaced_id)?;
        correct(*scheme)?;
        self.settle(*request_id, now)?;
        self.counters.answered_preflight()?;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        host::answer(Preflight::STATUS, Preflight::DETAILS, "", &headers)?;
        Ok(Action::Pause)
    }

    /// Gives the current request, which ends here, an id.
    fn settle(
        &mut self,
        request_id: RequestId,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<(), HostError> {
        if request_id == RequestId::Mint {
            self.counters.minted()?;
            host::set_request_header(self.rules.request_id_header(), &self.ids.mint(now()?.wall_ms))?;
        }
        Ok(())
    }

    /// Serves the current request by a lease before anything else happens to it, and returns its route. `None` when it takes
    /// the usual path, for example because its headers have to be edited first. `may` selects the routes by position.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn early(
        &mut self,
        headers: &[u8],
        may: impl Fn(usize) -> bool,
        now: impl Fn() -> Result<Now, HostError>,
    ) -> Result<Option<usize>, HostError> {
        if self.leasing.is_none() {
            return Ok(None);
        }
        let peer = self.peer()?;
        let GuardVerdict::Forward(edits) = self.rules.judge_from(headers, peer.as_deref()) else {
            return Ok(None);
        };
        let Some(candidate) = edits
            .lease
            .as_ref()
            .filter(|candidate| edits.removals.is_empty() && edits.reader.is_none() && may(candidate.route))
        else {
            return Ok(None);
        };
        if self.refuses_version(&edits)? {
            return Ok(None);
        }
        let now = now()?;
        let Some(leasing) = &mut self.leasing else { return Ok(None) };
        let Some(taken) = leasing.take(candidate, now) else { return Ok(None) };
        host::keep_order(headers)?;
        arrive(&edits)?;
        if edits.request_id == RequestId::Mint {
            self.counters.minted()?;
            host::set_request_header(self.rules.request_id_header(), &self.ids.mint(now.wall_ms))?;
        }
        let served = leasing.serve(&taken, candidate.route)?;
        Ok(served.then_some(candidate.route))
    }

    /// The leases; `None` when every request is checked.
    pub(crate) const fn leasing(&mut self) -> Option<&mut Leasing> {
        self.leasing.as_mut()
    }

    /// Reports the counts since the last call.
    #[cfg(target_family = "wasm")]
    pub(crate) fn report(&mut self) -> Result<(), HostError> {
        self.counters.report()?;
        self.leasing.as_mut().map_or(Ok(()), Leasing::report)
    }
}

/// Writes what is known of the client of the current request, and whether a header changed.
fn arrive(edits: &Edits<'_>) -> Result<bool, HostError> {
    let Edits { arrival, forwarded_for, scheme, replaced_id, .. } = edits;
    note(arrival.as_ref().map(|arrival| arrival.address), *replaced_id)?;
    if let Some(address) = forwarded_for {
        host::set_request_header(b"x-forwarded-for", address.to_string().as_bytes())?;
    }
    correct(*scheme)?;
    let host = arrival.as_ref().and_then(|arrival| arrival.host.as_ref());
    if let Some(host) = host {
        host::set_request_header(b"x-forwarded-host", host)?;
    }
    Ok(forwarded_for.is_some() || scheme.is_some() || host.is_some())
}

/// Writes the client's scheme over another one.
fn correct(scheme: Option<&str>) -> Result<(), HostError> {
    let Some(scheme) = scheme else { return Ok(()) };
    host::set_request_header(b"x-forwarded-proto", scheme.as_bytes())?;
    // Backends that speak HTTP/2 read this one.
    host::set_request_header(b":scheme", scheme.as_bytes())
}

/// Notes for the access log who sent the current request, and by which id.
fn note(client: Option<IpAddr>, replaced_id: Option<&[u8]>) -> Result<(), HostError> {
    if let Some(client) = client {
        host::note(&CLIENT, client.to_string().as_bytes())?;
    }
    if let Some(id) = replaced_id {
        host::note(&RECEIVED_ID, shown(id).as_bytes())?;
    }
    Ok(())
}

/// Notes the page of another origin that may read the answer: Envoy writes the headers of the answer from these notes.
fn note_reader(reader: &Reader) -> Result<(), HostError> {
    host::note(&READER_ORIGIN, &reader.origin)?;
    if reader.credentials {
        host::note(&READER_CREDENTIALS, b"true")?;
    }
    reader.expose.as_ref().map_or(Ok(()), |names| host::note(&READER_EXPOSE, names.as_bytes()))
}
