//! Without offsets and callbacks: every call gives a future. The first versions (feature "first") have protobuf only, and no batches.

use std::collections::VecDeque;
use std::sync::Arc;

use databricks_zerobus_ingest_sdk::{StreamConfigurationOptions, TableProperties, ZerobusResult, ZerobusSdk, ZerobusStream};
use prost::Message;
use tokio::task::JoinHandle;

use crate::{var, Acks, Record};

pub struct Stream {
    sdk: Option<ZerobusStream>, // none while it is recreated
    acks: Arc<Acks>,
    requests: i64,
    waiting: VecDeque<(i64, JoinHandle<ZerobusResult<()>>)>,
    #[cfg(feature = "first")]
    lost: Vec<Record>, // what the stream did not acknowledge that is no more
}

impl Stream {
    fn of(sdk: ZerobusStream, acks: Arc<Acks>) -> Self {
        Self { sdk: Some(sdk), acks, requests: 0, waiting: VecDeque::new(), #[cfg(feature = "first")] lost: Vec::new() }
    }

    fn sdk(&mut self) -> &mut ZerobusStream {
        self.sdk.as_mut().expect("a stream")
    }

    pub async fn flush(&mut self) -> ZerobusResult<()> {
        self.sdk().flush().await
    }

    pub async fn close(&mut self) -> ZerobusResult<()> {
        self.sdk().close().await
    }

    /// Says what is acknowledged, without stopping the ingestion.
    fn watch<T>(&mut self, ack: impl std::future::Future<Output = ZerobusResult<T>> + Send + 'static) -> i64 {
        let (offset, acks) = (self.requests, self.acks.clone());
        self.requests += 1;
        let task = tokio::spawn(async move {
            match ack.await {
                Ok(_) if acks.told() => acks.ack(offset),
                Ok(_) => {}
                Err(e) => {
                    acks.error(&e.to_string());
                    return Err(e);
                }
            }
            Ok(())
        });
        self.waiting.push_back((offset, task));
        if self.waiting.len() > 1000 {
            self.waiting.pop_front();
        }
        offset
    }
}

pub fn sdk() -> ZerobusResult<ZerobusSdk> {
    let mut sdk = ZerobusSdk::new(var("ENDPOINT"), var("WORKSPACE"))?;
    sdk.use_tls = var("ENDPOINT").starts_with("https");
    Ok(sdk)
}

fn options(recovery: bool) -> StreamConfigurationOptions {
    StreamConfigurationOptions {
        recovery,
        recovery_retries: crate::RETRIES,
        #[cfg(not(feature = "first"))]
        record_type: {
            use databricks_zerobus_ingest_sdk::databricks::zerobus::RecordType;
            if crate::json() { RecordType::Json } else { RecordType::Proto }
        },
        ..Default::default()
    }
}

fn table() -> TableProperties {
    let files = prost_types::FileDescriptorSet::decode(std::fs::read(var("DESCRIPTORS")).unwrap().as_slice()).unwrap();
    let message = files.file[0].message_type[0].clone();
    #[cfg(not(feature = "first"))]
    let message = (!crate::json()).then_some(message);
    TableProperties { table_name: var("TABLE"), descriptor_proto: message }
}

async fn create(sdk: &ZerobusSdk, recovery: bool) -> ZerobusResult<ZerobusStream> {
    sdk.create_stream(table(), var("CLIENT_ID"), var("CLIENT_SECRET"), Some(options(recovery))).await
}

pub async fn connect(sdk: &ZerobusSdk, recovery: bool, acks: Option<Arc<Acks>>) -> ZerobusResult<Stream> {
    Ok(Stream::of(create(sdk, recovery).await?, acks.unwrap_or_default()))
}

#[cfg(feature = "first")]
fn encoded(r: Record) -> Vec<u8> {
    match r {
        Record::Proto(b) => b,
        Record::Json(_) => panic!("these versions have no JSON"),
    }
}

#[cfg(not(feature = "first"))]
fn encoded(r: Record) -> databricks_zerobus_ingest_sdk::EncodedRecord {
    use databricks_zerobus_ingest_sdk::EncodedRecord;
    match r {
        Record::Json(s) => EncodedRecord::Json(s),
        Record::Proto(b) => EncodedRecord::Proto(b),
    }
}

pub async fn ingest(stream: &mut Stream, r: Record) -> ZerobusResult<i64> {
    let ack = stream.sdk().ingest_record(encoded(r)).await?;
    Ok(stream.watch(ack))
}

#[cfg(feature = "first")]
pub async fn ingest_batch(_: &mut Stream, _: Vec<Record>) -> ZerobusResult<i64> {
    panic!("these versions have no batches")
}

#[cfg(not(feature = "first"))]
pub async fn ingest_batch(stream: &mut Stream, records: Vec<Record>) -> ZerobusResult<i64> {
    let ack = stream.sdk().ingest_records(records.into_iter().map(encoded)).await?;
    Ok(stream.watch(ack))
}

pub async fn wait(stream: &mut Stream, offset: i64) -> ZerobusResult<()> {
    match stream.waiting.iter().position(|(o, _)| *o == offset) {
        Some(i) => stream.waiting.remove(i).unwrap().1.await.unwrap(),
        None => Ok(()),
    }
}

#[cfg(feature = "first")]
pub async fn unacked(stream: &mut Stream) -> ZerobusResult<Vec<Record>> {
    Ok(stream.sdk().get_unacked_records().await?.into_iter().map(Record::Proto).collect())
}

#[cfg(not(feature = "first"))]
pub async fn unacked(stream: &mut Stream) -> ZerobusResult<Vec<Record>> {
    use databricks_zerobus_ingest_sdk::EncodedRecord;
    let of = |r| match r {
        EncodedRecord::Json(s) => Record::Json(s),
        EncodedRecord::Proto(b) => Record::Proto(b),
    };
    Ok(stream.sdk().get_unacked_records().await?.map(of).collect())
}

/// recreate_stream of the first versions takes the stream away even when it fails. After that the program sends the records itself.
#[cfg(feature = "first")]
pub async fn recreate(sdk: &ZerobusSdk, old: &mut Stream) -> ZerobusResult<Stream> {
    if old.sdk.is_some() {
        old.lost = unacked(old).await?;
        return Ok(Stream::of(sdk.recreate_stream(old.sdk.take().unwrap()).await?, old.acks.clone()));
    }
    let mut stream = Stream::of(create(sdk, false).await?, old.acks.clone());
    for r in old.lost.clone() {
        ingest(&mut stream, r).await?;
    }
    Ok(stream)
}

#[cfg(not(feature = "first"))]
pub async fn recreate(sdk: &ZerobusSdk, old: &mut Stream) -> ZerobusResult<Stream> {
    let stream = sdk.recreate_stream(old.sdk()).await?;
    Ok(Stream::of(stream, old.acks.clone()))
}
