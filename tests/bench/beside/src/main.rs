//! beside quinn|iroh serve ADDRESS PORT aes|chacha
//! beside quinn|iroh send ADDRESS PORT aes|chacha SECONDS
//!
//! One stream of another QUIC library, on one thread. Both ends print one line of JSON: the bytes, the
//! seconds from the first byte on, and the processor time of these. Windows are 16 MiB for the stream
//! and 32 MiB for the connection, so that no window limits what is measured.
use anyhow::{anyhow, bail, Context, Result};
use bytes::Bytes;
use rustls::crypto::{aws_lc_rs, CryptoProvider};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use std::{net::SocketAddr, sync::Arc, time::Instant};

const STREAM_WINDOW: u32 = 16 << 20;
const WINDOW: u32 = 32 << 20;
const NAME: &str = "beside";
/// The secret key of iroh's server: its public key is the address that a client dials.
const IROH_KEY: [u8; 32] = [9; 32];

/// From a side's first byte on.
struct Meter {
    side: &'static str,
    bytes: u64,
    started: Instant,
    computed: f64,
}

impl Meter {
    fn new(side: &'static str) -> Self {
        Meter { side, bytes: 0, started: Instant::now(), computed: processor_time() }
    }

    fn report(&self) {
        println!(
            "{{\"side\":\"{}\",\"bytes\":{},\"seconds\":{:.4},\"cpu\":{:.4}}}",
            self.side,
            self.bytes,
            self.started.elapsed().as_secs_f64(),
            processor_time() - self.computed
        );
    }
}

fn processor_time() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// The suite comes first. AES-128-GCM stays: QUIC's first packets need it.
fn provider(suite: &str) -> Arc<CryptoProvider> {
    let wanted = if suite == "aes" { "TLS13_AES_128" } else { "TLS13_CHACHA20" };
    let is = |c: &rustls::SupportedCipherSuite, name: &str| format!("{:?}", c.suite()).starts_with(name);
    let mut p = aws_lc_rs::default_provider();
    p.cipher_suites.retain(|c| is(c, wanted) || is(c, "TLS13_AES_128"));
    p.cipher_suites.sort_by_key(|c| !is(c, wanted));
    Arc::new(p)
}

/// Takes every certificate: authentication is not what is measured.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer,
        _: &[CertificateDer],
        _: &ServerName,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn quinn_transport() -> Arc<quinn::TransportConfig> {
    let mut t = quinn::TransportConfig::default();
    t.stream_receive_window(STREAM_WINDOW.into()).receive_window(WINDOW.into()).send_window(WINDOW.into());
    Arc::new(t)
}

async fn quinn_serve(at: SocketAddr, suite: &str) -> Result<()> {
    let cert = rcgen::generate_simple_self_signed(vec![NAME.into()])?;
    let key = PrivatePkcs8KeyDer::from(cert.key_pair.serialize_der());
    let tls = rustls::ServerConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![cert.cert.der().clone()], key.into())?;
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(quinn_transport());
    let endpoint = quinn::Endpoint::server(config, at)?;
    let connection = endpoint.accept().await.context("closed")?.await?;
    let mut stream = connection.accept_uni().await?;
    let mut meter = Meter::new("server");
    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
        meter.bytes += chunk.bytes.len() as u64;
    }
    meter.report();
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}

async fn quinn_send(to: SocketAddr, suite: &str, seconds: f64) -> Result<()> {
    let provider = provider(suite);
    let tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        .with_no_client_auth();
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(quinn_transport());
    let mut endpoint = quinn::Endpoint::client("0.0.0.0:0".parse()?)?;
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(to, NAME)?.await?;
    let mut stream = connection.open_uni().await?;
    let chunk = Bytes::from(vec![0u8; 1 << 16]);
    let mut meter = Meter::new("client");
    while meter.started.elapsed().as_secs_f64() < seconds {
        stream.write_chunk(chunk.clone()).await?;
        meter.bytes += chunk.len() as u64;
    }
    stream.finish()?;
    connection.closed().await;
    meter.report();
    Ok(())
}

/// Without relay and without a look-up of addresses: direct, as ours is.
async fn iroh_endpoint(at: Option<SocketAddr>, suite: &str) -> Result<iroh::Endpoint> {
    let transport = iroh::endpoint::QuicTransportConfig::builder()
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .build();
    let mut builder = iroh::Endpoint::builder(iroh::endpoint::presets::Minimal)
        .relay_mode(iroh::RelayMode::Disabled)
        .clear_address_lookup()
        .crypto_provider(provider(suite))
        .transport_config(transport)
        .alpns(vec![NAME.into()]);
    if let Some(at) = at {
        builder = builder.clear_ip_transports().bind_addr(at).map_err(|e| anyhow!("{e}"))?;
        builder = builder.secret_key(iroh::SecretKey::from_bytes(&IROH_KEY));
    }
    builder.bind().await.map_err(|e| anyhow!("{e}"))
}

async fn iroh_serve(at: SocketAddr, suite: &str) -> Result<()> {
    let endpoint = iroh_endpoint(Some(at), suite).await?;
    let connection = endpoint.accept().await.context("closed")?.await.map_err(|e| anyhow!("{e}"))?;
    let mut stream = connection.accept_uni().await?;
    let mut meter = Meter::new("server");
    while let Some(chunk) = stream.read_chunk(usize::MAX).await? {
        meter.bytes += chunk.len() as u64;
    }
    meter.report();
    connection.close(0u32.into(), b"");
    endpoint.close().await;
    Ok(())
}

async fn iroh_send(to: SocketAddr, suite: &str, seconds: f64) -> Result<()> {
    let endpoint = iroh_endpoint(None, suite).await?;
    let server = iroh::EndpointAddr::new(iroh::SecretKey::from_bytes(&IROH_KEY).public()).with_ip_addr(to);
    let connection = endpoint.connect(server, NAME.as_bytes()).await.map_err(|e| anyhow!("{e}"))?;
    let mut stream = connection.open_uni().await?;
    let chunk = Bytes::from(vec![0u8; 1 << 16]);
    let mut meter = Meter::new("client");
    while meter.started.elapsed().as_secs_f64() < seconds {
        stream.write_chunk(chunk.clone()).await?;
        meter.bytes += chunk.len() as u64;
    }
    stream.finish()?;
    connection.closed().await;
    meter.report();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [library, role, address, port, suite, ref rest @ ..] = args[..] else {
        bail!("usage: beside quinn|iroh serve|send ADDRESS PORT aes|chacha [SECONDS]");
    };
    let at: SocketAddr = format!("{address}:{port}").parse()?;
    let seconds: f64 = rest.first().unwrap_or(&"3").parse()?;
    match (library, role) {
        ("quinn", "serve") => quinn_serve(at, suite).await,
        ("quinn", "send") => quinn_send(at, suite, seconds).await,
        ("iroh", "serve") => iroh_serve(at, suite).await,
        ("iroh", "send") => iroh_send(at, suite, seconds).await,
        _ => bail!("quinn or iroh; serve or send"),
    }
}
