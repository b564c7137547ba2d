//! With options for the stream, and from 0.5 on a builder for the client.

use std::sync::Arc;

use databricks_zerobus_ingest_sdk::databricks::zerobus::RecordType;
use databricks_zerobus_ingest_sdk::{
    AckCallback, EncodedRecord, StreamConfigurationOptions, TableProperties, ZerobusResult, ZerobusSdk, ZerobusStream,
};
use prost::Message;

use crate::{json, var, Acks, Record};

impl AckCallback for Acks {
    fn on_ack(&self, offset: i64) {
        self.ack(offset);
    }

    fn on_error(&self, _: i64, message: &str) {
        self.error(message);
    }
}

pub type Stream = ZerobusStream;

#[cfg(feature = "nobuilder")]
pub fn sdk() -> ZerobusResult<ZerobusSdk> {
    let mut sdk = ZerobusSdk::new(var("ENDPOINT"), var("WORKSPACE"))?;
    sdk.use_tls = var("ENDPOINT").starts_with("https");
    Ok(sdk)
}

#[cfg(not(feature = "nobuilder"))]
pub fn sdk() -> ZerobusResult<ZerobusSdk> {
    ZerobusSdk::builder().endpoint(var("ENDPOINT")).unity_catalog_url(var("WORKSPACE")).build()
}

pub async fn connect(sdk: &ZerobusSdk, recovery: bool, acks: Option<Arc<Acks>>) -> ZerobusResult<ZerobusStream> {
    let files = prost_types::FileDescriptorSet::decode(std::fs::read(var("DESCRIPTORS")).unwrap().as_slice()).unwrap();
    let table = TableProperties {
        table_name: var("TABLE"),
        descriptor_proto: (!json()).then(|| files.file[0].message_type[0].clone()),
    };
    let options = StreamConfigurationOptions {
        recovery,
        recovery_retries: crate::RETRIES,
        record_type: if json() { RecordType::Json } else { RecordType::Proto },
        ack_callback: acks.map(|a| a as Arc<dyn AckCallback>),
        ..Default::default()
    };
    sdk.create_stream(table, var("CLIENT_ID"), var("CLIENT_SECRET"), Some(options)).await
}

fn encoded(r: Record) -> EncodedRecord {
    match r {
        Record::Json(s) => EncodedRecord::Json(s),
        Record::Proto(b) => EncodedRecord::Proto(b),
    }
}

pub async fn ingest(stream: &mut ZerobusStream, r: Record) -> ZerobusResult<i64> {
    stream.ingest_record_offset(encoded(r)).await
}

pub async fn ingest_batch(stream: &mut ZerobusStream, records: Vec<Record>) -> ZerobusResult<i64> {
    let offset = stream.ingest_records_offset(records.into_iter().map(encoded)).await?;
    Ok(offset.expect("an offset for a batch with records"))
}

pub async fn wait(stream: &mut ZerobusStream, offset: i64) -> ZerobusResult<()> {
    stream.wait_for_offset(offset).await
}

pub async fn unacked(stream: &mut ZerobusStream) -> ZerobusResult<Vec<Record>> {
    let of = |r| match r {
        EncodedRecord::Json(s) => Record::Json(s),
        EncodedRecord::Proto(b) => Record::Proto(b),
        #[allow(unreachable_patterns)] // newer versions may have more
        _ => panic!("a record of another kind"),
    };
    Ok(stream.get_unacked_records().await?.map(of).collect())
}

pub async fn recreate(sdk: &ZerobusSdk, old: &mut Stream) -> ZerobusResult<Stream> {
    sdk.recreate_stream(old).await
}
