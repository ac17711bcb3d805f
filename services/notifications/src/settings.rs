//! The settings of the service, read from its environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use broker_connection::Address;
use clock::Clock;
use events::bus::Topology;
use kit::StartError;
use kit::base::Base;
use kit::settings::{
    AMQP_CONSUMERS, AMQP_URL, CUTOVER_HOME, DATABASE_URL, EDGE_NAME, EVENTS_PREFIX, Faults, RUST_LOG, Reader,
    SES_KEY, SES_REGION, SES_URL, Variable,
};
use mail::{Keys, Ses};
use uuid::Uuid;

use crate::push::Fcm;
use crate::push::account::Access;
use crate::sending::Providers;

/// The address to listen on.
pub const NOTIFICATIONS_ADDRESS: Variable = Variable {
    name: "NOTIFICATIONS_ADDRESS",
    default: Some("127.0.0.1:3027"),
    help: "Listen address; port 0 means any free port",
    secret: false,
};

/// The service account of FCM.
pub const FCM_ACCOUNT: Variable = Variable {
    name: "FCM_ACCOUNT",
    default: None,
    help: "JSON file of the Google service account that sends push messages; unset means they wait",
    secret: false,
};

/// The address of FCM.
pub const FCM_URL: Variable = Variable {
    name: "FCM_URL",
    default: Some("https://fcm.googleapis.com"),
    help: "Address of Firebase Cloud Messaging",
    secret: false,
};

/// The sender of letters.
pub const SES_FROM: Variable = Variable {
    name: "SES_FROM",
    default: None,
    help: "Sender of letters, an address that SES has verified; unset means letters wait",
    secret: false,
};

/// All variables, for `--help`.
pub const VARIABLES: &[Variable] = &[
    NOTIFICATIONS_ADDRESS,
    AMQP_URL,
    EVENTS_PREFIX,
    AMQP_CONSUMERS,
    FCM_ACCOUNT,
    FCM_URL,
    SES_FROM,
    SES_KEY,
    SES_REGION,
    SES_URL,
    CUTOVER_HOME,
    DATABASE_URL,
    EDGE_NAME,
    RUST_LOG,
];

/// The validated settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub address: SocketAddr,
    /// Its keys, its database and the trusted edge.
    pub base: Base,
    /// The broker, if there is one.
    pub broker: Option<Address>,
    /// The names at the broker.
    pub topology: Topology,
    /// The provider of push messages: file of the account, address.
    pub fcm: Option<(PathBuf, String)>,
    /// The provider of letters.
    pub ses: Option<SesSettings>,
}

/// How letters are sent.
#[derive(Clone, Debug)]
pub struct SesSettings {
    /// The sender.
    pub from: String,
    /// The file of the access key.
    pub key: PathBuf,
    /// The region.
    pub region: String,
    /// The address, if not the region's own.
    pub url: Option<String>,
}

impl Settings {
    /// Reads and validates the settings.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(mut reader: Reader) -> Result<Self, Faults> {
        let address_of =
            |text: &str| provider_call::address(text).map(drop).map_err(|error| error.to_string());
        let fcm_url = reader.checked(&FCM_URL, address_of);
        let settings = Self {
            address: reader.address(&NOTIFICATIONS_ADDRESS),
            base: Base::read(&mut reader),
            broker: reader.parsed_by(&AMQP_URL, |url| Address::parse(url).map_err(|error| error.to_string())),
            topology: reader
                .parsed::<Topology>(&EVENTS_PREFIX)
                .unwrap_or_default()
                .with_consumers(reader.parsed(&AMQP_CONSUMERS).unwrap_or_default()),
            fcm: reader.optional(&FCM_ACCOUNT).map(|file| (PathBuf::from(file), fcm_url)),
            ses: ses(&mut reader, address_of),
        };
        reader.finish(settings)
    }

    /// Makes the providers at the time of `clock`.
    ///
    /// # Errors
    /// [`StartError::File`], which names the file and the fix.
    pub fn providers(&self, clock: &Arc<dyn Clock>) -> Result<Providers, StartError> {
        let fault = |error: &dyn std::fmt::Display| StartError::File(error.to_string());
        let fcm = |(file, url): &(PathBuf, String)| {
            let access = Access::read(file, Arc::clone(clock)).map_err(|error| fault(&error))?;
            Fcm::new(url, access).map(Arc::new).map_err(|error| fault(&error))
        };
        let ses = |SesSettings { from, key, region, url }: &SesSettings| {
            let keys = Keys::read(key).map_err(|error| fault(&error))?;
            let ses = Ses::new(region, url.as_deref(), from, keys, Arc::clone(clock));
            ses.map(Arc::new).map_err(|error| fault(&error))
        };
        Ok(Providers {
            fcm: self.fcm.as_ref().map(fcm).transpose()?,
            ses: self.ses.as_ref().map(ses).transpose()?,
            instance: Uuid::new_v4().to_string(),
        })
    }
}

fn ses(reader: &mut Reader, address_of: impl Fn(&str) -> Result<(), String>) -> Option<SesSettings> {
    let sender = |text: &str| match kit::email::is_address(text) {
        true => Ok(text.to_owned()),
        false => Err("write an e-mail address".to_owned()),
    };
    let place =
        |text: &str| match text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            true => Ok(text.to_owned()),
            false => Err("write a region such as eu-central-1".to_owned()),
        };
    let url = reader.parsed_by(&SES_URL, |text| address_of(text).map(|()| text.to_owned()));
    reader.optional(&SES_FROM)?;
    let (key, region) = (reader.path(&SES_KEY), reader.text(&SES_REGION));
    let region_is_fine = region.is_empty() || reader.parsed_by(&SES_REGION, place).is_some();
    let from = reader.parsed_by(&SES_FROM, sender)?;
    region_is_fine.then_some(SesSettings { from, key, region, url })
}
