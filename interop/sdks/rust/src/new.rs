//! With builders for the client and for the stream.

use std::sync::Arc;

use databricks_zerobus_ingest_sdk::{AckCallback, EncodedRecord, JsonString, ProtoBytes, ZerobusResult, ZerobusSdk, ZerobusStream};
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

pub fn sdk() -> ZerobusResult<ZerobusSdk> {
    ZerobusSdk::builder().endpoint(var("ENDPOINT")).unity_catalog_url(var("WORKSPACE")).build()
}

pub async fn connect(sdk: &ZerobusSdk, recovery: bool, acks: Option<Arc<Acks>>) -> ZerobusResult<ZerobusStream> {
    let mut b = sdk.stream_builder().table(var("TABLE")).oauth(var("CLIENT_ID"), var("CLIENT_SECRET")).recovery(recovery).recovery_retries(crate::RETRIES);
    if let Some(acks) = acks {
        b = b.ack_callback(acks);
    }
    if json() {
        b.json().build().await
    } else {
        let files = prost_types::FileDescriptorSet::decode(std::fs::read(var("DESCRIPTORS")).unwrap().as_slice()).unwrap();
        b.compiled_proto(files.file[0].message_type[0].clone()).build().await
    }
}

pub async fn ingest(stream: &mut ZerobusStream, r: Record) -> ZerobusResult<i64> {
    match r {
        Record::Json(s) => stream.ingest_record_offset(JsonString(s)).await,
        Record::Proto(b) => stream.ingest_record_offset(ProtoBytes(b)).await,
    }
}

pub async fn ingest_batch(stream: &mut ZerobusStream, records: Vec<Record>) -> ZerobusResult<i64> {
    let (mut texts, mut bytes) = (Vec::new(), Vec::new());
    for r in records {
        match r {
            Record::Json(s) => texts.push(JsonString(s)),
            Record::Proto(b) => bytes.push(ProtoBytes(b)),
        }
    }
    let offset = if json() { stream.ingest_records_offset(texts).await? } else { stream.ingest_records_offset(bytes).await? };
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
