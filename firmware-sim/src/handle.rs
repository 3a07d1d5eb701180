//! A running station in the hands of a test or a scenario.

use std::sync::Arc;

use shared::model::security::{CertificateHash, RootUse};
use shared::ocpp::frame::Frame;
use shared::units::{Timestamp, Wh};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, timeout};

use crate::config::StationConfig;
use crate::ev::Vehicle;
use crate::event::{ConnectorView, Event, View};
use crate::journal::SessionRecord;
use crate::link::{Link, Order, Response, with_new_id};
use crate::station::Refusal;
use crate::station::files::FileHabits;
use crate::station::security::{Access, SecurityHabits};

/// A station that runs in a task of its own. When the last clone of the handle is dropped, it closes its socket and ends.
#[derive(Clone)]
pub struct Station {
    orders: mpsc::Sender<Order>,
    view: watch::Receiver<View>,
    config: Arc<StationConfig>,
}

/// What was waited for did not happen.
#[derive(Debug, thiserror::Error)]
#[error("waited {waited:?} in vain, last seen: {seen}")]
pub struct InVain {
    /// How long.
    pub waited: Duration,
    /// What was seen last.
    pub seen: String,
}

/// The station has not sent such a message yet, so it cannot be repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("nothing was sent yet that could be repeated")]
pub struct NothingSent;

/// Which message to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The last StartTransaction.
    Start,
    /// The last StopTransaction.
    Stop,
}

impl Station {
    /// Powers a station on: it dials, boots, and dials again whenever it has to. Needs a Tokio runtime to run in.
    pub fn connect(config: StationConfig) -> Station {
        let config = Arc::new(config);
        let (orders, inbox) = mpsc::channel(16);
        let (view, seen) = watch::channel(View::default());
        tokio::spawn(Link::new(config.clone(), view).run(inbox));
        Station { orders, view: seen, config }
    }

    /// Its configuration.
    pub fn config(&self) -> &StationConfig {
        &self.config
    }

    /// Its identity.
    pub fn identity(&self) -> &str {
        &self.config.identity
    }

    /// Plugs the configured vehicle in.
    pub async fn plug(&self, connector: u16) -> Result<(), Refusal> {
        self.plug_vehicle(connector, self.config.vehicle).await
    }

    /// Plugs a vehicle in.
    pub async fn plug_vehicle(&self, connector: u16, vehicle: Vehicle) -> Result<(), Refusal> {
        self.ask(move |link| link.station.plug(link.clock.now(), connector, vehicle)).await
    }

    /// Holds a card to the reader: begins a session, or ends the one it began.
    pub async fn tap(&self, connector: u16, tag: &str) -> Result<(), Refusal> {
        let tag = tag.to_owned();
        self.ask(move |link| link.station.tap(link.clock.now(), connector, &tag)).await
    }

    /// Pulls the plug.
    pub async fn unplug(&self, connector: u16) -> Result<(), Refusal> {
        self.ask(move |link| link.station.unplug(link.clock.now(), connector)).await
    }

    /// Breaks a connector, or mends it.
    pub async fn fault(&self, connector: u16, faulted: bool) -> Result<(), Refusal> {
        self.ask(move |link| link.station.fault(link.clock.now(), connector, faulted)).await
    }

    /// Cuts the mains: the socket dies, sessions end where the meter stands.
    pub async fn cut_power(&self) {
        self.ask(|link| link.station.cut_power(link.clock.now())).await;
    }

    /// The mains are back: the station boots.
    pub async fn restore_power(&self) {
        self.ask(|link| link.station.restore_power(link.clock.now())).await;
    }

    /// Pulls the network cable: the socket dies, the station charges on and queues.
    pub async fn drop_network(&self) {
        self.ask(|link| link.network = false).await;
    }

    /// The network is back: the station dials when its pause is over.
    pub async fn restore_network(&self) {
        self.ask(|link| link.network = true).await;
    }

    /// Decides how a command is answered from now on; the action by its OCPP name, such as `RemoteStartTransaction`.
    pub async fn respond(&self, action: &str, response: Response) {
        let action = action.to_owned();
        self.ask(move |link| link.responses.insert(action, response)).await;
    }

    /// Decides how remote starts are answered from now on.
    pub async fn respond_to_remote_start(&self, response: Response) {
        self.respond("RemoteStartTransaction", response).await;
    }

    /// Sends a message of the maker's own.
    pub async fn transfer(&self, vendor: &str, message: Option<&str>, data: Option<&str>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (vendor, message, data) = (vendor.to_owned(), owned(message), owned(data));
        self.ask(move |link| link.station.transfer(vendor, message, data)).await;
    }

    /// Sends a text as it is. Its answer comes as [`Event::Unasked`].
    pub async fn send_raw(&self, text: impl Into<String>) {
        let text = text.into();
        self.ask(move |link| link.raw.push(text)).await;
    }

    /// Sends every frame from now on as `how` changes it: a station that writes kWh for Wh, or times without a zone.
    pub async fn mangle(&self, how: impl FnMut(String) -> String + Send + 'static) {
        self.ask(move |link| link.mangle = Some(Box::new(how))).await;
    }

    /// Sends every frame as it should be again.
    pub async fn behave(&self) {
        self.ask(|link| link.mangle = None).await;
    }

    /// What the CSMS has sent against the schema so far, the first 64.
    pub async fn violations(&self) -> Vec<String> {
        self.ask(|link| link.violations.clone()).await
    }

    /// Sends the last start or stop once more, with its message id or with a new one. The answer comes as
    /// [`Event::Unasked`]. Returns the message id.
    pub async fn repeat(&self, which: Again, same_id: bool) -> Result<String, NothingSent> {
        self.ask(move |link| {
            let last = match which {
                Again::Start => link.last_start.as_deref(),
                Again::Stop => link.last_stop.as_deref(),
            };
            let last = last.ok_or(NothingSent)?;
            let text = if same_id { Some(last.to_owned()) } else { with_new_id(last) };
            let text = text.ok_or(NothingSent)?;
            let Ok(Frame::Call { id, .. }) = Frame::parse(&text) else { return Err(NothingSent) };
            link.raw.push(text);
            Ok(id)
        })
        .await
    }

    /// Everything that happens from now on. Who does not read misses events beyond 1024.
    pub async fn events(&self) -> Events {
        let (sender, events) = mpsc::channel(1024);
        self.ask(move |link| link.subscribers.push(sender)).await;
        Events { events }
    }

    /// The station at a glance, its meters read now.
    pub async fn view(&self) -> View {
        self.ask(|link| {
            link.station.tick(link.clock.now());
            link.station.view()
        })
        .await
    }

    /// A connector at a glance, its meter read now.
    pub async fn connector(&self, number: u16) -> Option<ConnectorView> {
        let place = usize::from(number).checked_sub(1)?;
        self.view().await.connectors.into_iter().nth(place)
    }

    /// What a connector's meter shows now.
    pub async fn meter(&self, connector: u16) -> Option<Wh> {
        self.connector(connector).await.map(|connector| connector.register)
    }

    /// What every session's real meter saw, the oldest first.
    pub async fn journal(&self) -> Vec<SessionRecord> {
        self.ask(|link| link.station.records().to_vec()).await
    }

    /// The station's clock.
    pub async fn clock(&self) -> Timestamp {
        self.ask(|link| link.station.clock(link.clock.now())).await
    }

    /// Decides how the station goes about firmware and logs from now on.
    pub async fn set_file_habits(&self, habits: FileHabits) {
        self.ask(move |link| link.station.set_file_habits(habits)).await;
    }

    /// The log that it made last, byte for byte.
    pub async fn last_log(&self) -> Option<Vec<u8>> {
        self.ask(|link| link.station.last_log().map(<[u8]>::to_vec)).await
    }

    /// How it gets at its CSMS: address, profile, password and certificate.
    pub async fn access(&self) -> Access {
        self.ask(|link| link.station.access().clone()).await
    }

    /// Decides how it goes about its security from now on.
    pub async fn set_security_habits(&self, habits: SecurityHabits) {
        self.ask(move |link| link.station.set_security_habits(habits)).await;
    }

    /// The authorities that it trusts for a use.
    pub async fn roots(&self, what: RootUse) -> Vec<CertificateHash> {
        self.ask(move |link| link.station.roots(what)).await
    }

    /// The security events that the CSMS has heard.
    pub async fn reported(&self) -> Vec<&'static str> {
        self.ask(|link| link.station.reported().to_vec()).await
    }

    /// The version of its firmware.
    pub async fn firmware(&self) -> Option<String> {
        self.ask(|link| link.station.hardware.firmware.clone()).await
    }

    /// Waits until the station looks as wanted.
    pub async fn until(&self, patience: Duration, wanted: impl FnMut(&View) -> bool) -> Result<View, InVain> {
        // What was asked before has taken effect once this is answered; the watch alone may lag behind.
        self.view().await;
        let mut view = self.view.clone();
        let waiting = timeout(patience, view.wait_for(wanted)).await;
        let found = waiting.ok().and_then(Result::ok).map(|found| found.clone());
        found.ok_or_else(|| InVain { waited: patience, seen: format!("{:?}", *self.view.borrow()) })
    }

    /// Waits until the station is accepted.
    pub async fn booted(&self, patience: Duration) -> Result<View, InVain> {
        self.until(patience, |view| view.connected && view.accepted).await
    }

    /// Waits until everything that bills has been answered.
    pub async fn drained(&self, patience: Duration) -> Result<View, InVain> {
        self.until(patience, |view| view.connected && view.accepted && view.queued == 0).await
    }

    async fn ask<T: Send + 'static>(&self, act: impl FnOnce(&mut Link) -> T + Send + 'static) -> T {
        let (done, answer) = oneshot::channel();
        let order: Order = Box::new(move |link| {
            // Nobody may be waiting any more; the order is carried out all the same.
            let _ = done.send(act(link));
        });
        let sent = self.orders.send(order).await;
        assert!(sent.is_ok(), "the task lives as long as a handle does");
        answer.await.expect("the task carries out every order")
    }
}

/// What happens at a station, in order.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; `None` when the station is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The first event from here on of which `pick` makes something.
    pub async fn find<T>(
        &mut self,
        patience: Duration,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, InVain> {
        let mut passed = Vec::new();
        let search = async {
            loop {
                let event = self.events.recv().await?;
                if let Some(found) = pick(&event) {
                    return Some(found);
                }
                passed.push(event);
            }
        };
        let found = timeout(patience, search).await.ok().flatten();
        found.ok_or_else(|| InVain { waited: patience, seen: format!("{passed:?}") })
    }
}
