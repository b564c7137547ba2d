//! databricks-zerobus-ingest-sdk from crates.io. What differs between its versions is in early.rs, old.rs and new.rs.

use std::env;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use databricks_zerobus_ingest_sdk::{ZerobusResult, ZerobusSdk};
use prost::Message;

#[cfg_attr(feature = "early", path = "early.rs")]
#[cfg_attr(feature = "new", path = "new.rs")]
#[cfg_attr(not(any(feature = "early", feature = "new")), path = "old.rs")]
mod api;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Reading {
    #[prost(int64, optional, tag = "1")]
    pub id: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub device: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub temp: Option<i32>,
    #[prost(double, optional, tag = "4")]
    pub level: Option<f64>,
}

/// More than the usual four: a server on a busy machine may be away longer.
pub const RETRIES: u32 = 30;

pub fn var(name: &str) -> String {
    env::var(format!("ZEROBUS_{name}")).unwrap()
}

pub fn json() -> bool {
    var("FORMAT") == "json"
}

/// One write a line: the callback is on another thread.
fn say(line: String) {
    std::io::stdout().lock().write_all((line + "\n").as_bytes()).unwrap();
}

/// A record as text or as bytes.
#[derive(Clone)]
pub enum Record {
    Json(String),
    Proto(Vec<u8>),
}

fn record(i: i64) -> Record {
    let device = format!("sensor-{} 🎈", i % 10);
    let temp = (i % 7 != 0).then_some((i % 50 - 10) as i32);
    let level = i as f64 / 8.0;
    if json() {
        let temp = temp.map_or("null".to_string(), |t| t.to_string());
        Record::Json(format!(r#"{{"id":{i},"device":"{device}","temp":{temp},"level":{level:?}}}"#))
    } else {
        Record::Proto(Reading { id: Some(i), device: Some(device), temp, level: Some(level) }.encode_to_vec())
    }
}

fn bad() -> Record {
    if json() {
        Record::Json(r#"{"id":1,"surprise":true}"#.into())
    } else {
        Record::Proto(Reading { device: Some("without an id".into()), ..Default::default() }.encode_to_vec())
    }
}

/// The id in a record that the SDK gives back; -1 for the bad one.
fn id_of(r: Record) -> i64 {
    match r {
        Record::Json(s) if s.contains("surprise") => -1,
        Record::Json(s) => s[6..s.find(',').unwrap()].parse().unwrap(),
        Record::Proto(b) => Reading::decode(b.as_slice()).unwrap().id.unwrap_or(-1),
    }
}

/// How many records are acknowledged with each request.
#[derive(Default)]
pub struct Acks {
    upto: Mutex<Vec<i64>>,
    errors: Mutex<Vec<String>>,
}

impl Acks {
    /// Whether the records are counted: not where a stream is recreated.
    #[allow(dead_code)]
    pub fn told(&self) -> bool {
        !self.upto.lock().unwrap().is_empty()
    }

    pub fn ack(&self, offset: i64) {
        say(format!("acked {}", self.upto.lock().unwrap()[offset as usize]));
    }

    pub fn error(&self, message: &str) {
        self.errors.lock().unwrap().push(message.into());
    }
}

struct Sender {
    _sdk: ZerobusSdk,
    stream: api::Stream,
    acks: Arc<Acks>,
    sent: i64,
}

impl Sender {
    async fn new() -> ZerobusResult<Self> {
        let acks = Arc::new(Acks::default());
        let sdk = api::sdk()?;
        let stream = api::connect(&sdk, true, Some(acks.clone())).await?;
        Ok(Self { _sdk: sdk, stream, acks, sent: 0 })
    }

    async fn put(&mut self) -> ZerobusResult<i64> {
        self.acks.upto.lock().unwrap().push(self.sent + 1); // before the call: the callback may come during it
        let offset = api::ingest(&mut self.stream, record(self.sent)).await?;
        self.sent += 1;
        say(format!("sent {}", self.sent));
        Ok(offset)
    }

    async fn put_batch(&mut self, size: i64) -> ZerobusResult<i64> {
        let records = (self.sent..self.sent + size).map(record).collect();
        self.sent += size;
        self.acks.upto.lock().unwrap().push(self.sent);
        let offset = api::ingest_batch(&mut self.stream, records).await?;
        say(format!("sent {}", self.sent));
        Ok(offset)
    }

    async fn end(mut self) -> ZerobusResult<()> {
        self.stream.flush().await?;
        say(format!("acked {}", self.sent));
        self.stream.close().await
    }
}

async fn single() -> ZerobusResult<()> {
    let mut s = Sender::new().await?;
    for i in 0..300 {
        let offset = s.put().await?;
        if i < 10 {
            api::wait(&mut s.stream, offset).await?;
        }
    }
    s.end().await
}

async fn batch() -> ZerobusResult<()> {
    let mut s = Sender::new().await?;
    for i in 0..20 {
        let offset = s.put_batch(50).await?;
        if i < 3 {
            api::wait(&mut s.stream, offset).await?;
        }
    }
    s.end().await
}

async fn refused() -> ZerobusResult<()> {
    let mut s = Sender::new().await?;
    for _ in 0..50 {
        s.put().await?;
    }
    s.stream.flush().await?;
    say("acked 50".into());
    s.acks.upto.lock().unwrap().push(51);
    let offset = api::ingest(&mut s.stream, bad()).await?;
    s.sent += 1;
    let mut errors = Vec::new();
    while s.sent < 100 {
        if let Err(e) = s.put().await {
            errors.push(e.to_string()); // the stream has ended already
            break;
        }
    }
    say(format!("sent {}", s.sent));
    for result in [api::wait(&mut s.stream, offset).await, s.stream.flush().await, s.stream.close().await] {
        errors.extend(result.err().map(|e| e.to_string()));
    }
    errors.extend(s.acks.errors.lock().unwrap().drain(..));
    say(format!("error {}", errors.join(" / ").replace('\n', " ")));
    say(format!("unacked {}", ids(&mut s.stream).await?));
    Ok(())
}

/// The records that the SDK gives back.
async fn ids(stream: &mut api::Stream) -> ZerobusResult<String> {
    let ids: Vec<_> = api::unacked(stream).await?.into_iter().map(|r| id_of(r).to_string()).collect();
    Ok(ids.join(" "))
}

async fn secret() -> ZerobusResult<()> {
    if let Err(e) = Sender::new().await {
        say(format!("error {}", e.to_string().replace('\n', " ")));
    }
    Ok(())
}

fn over() -> bool {
    std::path::Path::new(&var("UNTIL")).exists()
}

async fn reconnect(size: i64) -> ZerobusResult<()> {
    let mut s = Sender::new().await?;
    while !over() {
        if size == 1 {
            s.put().await?;
        } else {
            s.put_batch(size).await?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    s.end().await
}

/// Without recovery the stream ends with the server, and the next one takes over what is not acknowledged.
async fn recreate() -> ZerobusResult<()> {
    let sdk = api::sdk()?;
    let mut stream = api::connect(&sdk, false, None).await?;
    let mut sent = 0;
    while !over() {
        say(format!("sent {}", sent + 1));
        match api::ingest(&mut stream, record(sent)).await {
            Ok(_) => sent += 1,
            Err(e) => {
                eprintln!("{e}");
                stream = again(&sdk, stream).await?;
            }
        }
        if sent == 100 {
            stream.flush().await?;
            say("acked 100".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Err(e) = stream.flush().await {
        eprintln!("{e}");
        stream = again(&sdk, stream).await?;
    }
    say(format!("sent {sent}"));
    say(format!("acked {sent}"));
    stream.close().await
}

async fn again(sdk: &ZerobusSdk, mut old: api::Stream) -> ZerobusResult<api::Stream> {
    let _ = old.close().await;
    say(format!("recreated {}", ids(&mut old).await?));
    let mut tries = 0;
    loop {
        match api::recreate(sdk, &mut old).await {
            Err(e) if tries < 20 => eprintln!("{e}"), // the server is not back yet
            result => return result,
        }
        tries += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::main]
async fn main() {
    let step = env::args().nth(1).unwrap();
    let result = match step.as_str() {
        "single" => single().await,
        "batch" => batch().await,
        "refused" => refused().await,
        "secret" => secret().await,
        "reconnect" => reconnect(1).await,
        "reconnect-batch" => reconnect(20).await,
        "recreate" => recreate().await,
        _ => panic!("no such step: {step}"),
    };
    if let Err(e) = result {
        eprintln!("{e}");
        std::process::exit(1);
    }
}
