//! A link between two processes that can be cut, held, slowed down and reset: a TCP proxy in user space.
//!
//! One proxy stands for one link: whoever wants to reach the process behind it dials the proxy. What it lets pass is a
//! value, [`Weather`], which may change at any time and holds for connections that are open as well as for new ones. While
//! a way is closed, nothing is lost: bytes wait in the sockets, as packets wait that are sent again and again. A link that does
//! lose what was on its way is one that is reset.
//!
//! **Deliberately absent:** lost, doubled or reordered bytes. TCP does not show them to its users.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Bytes that are passed on at a time.
const PIECE: usize = 16 * 1024;

/// What one direction of a link lets pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// Bytes pass at all.
    pub open: bool,
    /// What each piece waits before it is passed on.
    pub delay: Duration,
    /// At most so many bytes a second; `None`: as many as there are.
    pub rate: Option<u32>,
}

impl Way {
    /// Everything passes at once.
    pub const CLEAR: Way = Way { open: true, delay: Duration::ZERO, rate: None };
}

/// What a link lets pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weather {
    /// From those that dial to the process behind.
    pub to: Way,
    /// Back.
    pub from: Way,
}

impl Weather {
    /// Everything passes at once.
    pub const CLEAR: Weather = Weather { to: Way::CLEAR, from: Way::CLEAR };
}

/// A link. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    behind: watch::Sender<Option<SocketAddr>>,
    weather: watch::Sender<Weather>,
    resets: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Opens a link on a port of loopback that the system chooses. Nothing is behind it yet.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn open() -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (behind, sees_behind) = watch::channel(None);
        let (weather, sees_weather) = watch::channel(Weather::CLEAR);
        let (resets, sees_resets) = watch::channel(0);
        let ends = Ends { behind: sees_behind, weather: sees_weather, resets: sees_resets };
        let task = tokio::spawn(serve(listener, ends));
        Ok(Proxy { address, behind, weather, resets, task })
    }

    /// Where to dial.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections lead here; `None`: they are refused.
    pub fn lead_to(&self, behind: Option<SocketAddr>) {
        self.behind.send_replace(behind);
    }

    /// From now on this passes.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Resets every connection: what was on its way is lost.
    pub fn reset(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Ends {
    behind: watch::Receiver<Option<SocketAddr>>,
    weather: watch::Receiver<Weather>,
    resets: watch::Receiver<u64>,
}

async fn serve(listener: TcpListener, ends: Ends) {
    // Aborted together with this task, as the set is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // What cannot be accepted now is offered again.
                if let Ok((dialled, _)) = accepted {
                    connections.spawn(carry(dialled, ends.clone()));
                } else {
                    tokio::task::yield_now().await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until either end closes it or it is reset.
async fn carry(dialled: TcpStream, mut ends: Ends) {
    let reset_at = *ends.resets.borrow_and_update();
    let mut resets = ends.resets.clone();
    let was_reset = async move {
        // The sender lives as long as the proxy; without it there is nobody left to carry for.
        let _ = resets.wait_for(|now| *now != reset_at).await;
    };
    let passed = async {
        // A way that is closed lets no connection through either.
        ends.weather.wait_for(|weather| weather.to.open).await.ok()?;
        let behind = (*ends.behind.borrow())?;
        let target = TcpStream::connect(behind).await.ok()?;
        dialled.set_nodelay(true).ok()?;
        target.set_nodelay(true).ok()?;
        Some(target)
    };
    tokio::pin!(was_reset);
    let target = tokio::select! {
        () = &mut was_reset => None,
        target = passed => target,
    };
    let Some(target) = target else {
        let _ = dialled.set_zero_linger();
        return;
    };
    // Whatever ends the connection ends it with a reset on both sides: a half that lingers would look like a stall.
    let _ = (dialled.set_zero_linger(), target.set_zero_linger());
    let (from_dialled, to_dialled) = dialled.into_split();
    let (from_target, to_target) = target.into_split();
    let weather = ends.weather;
    tokio::select! {
        () = &mut was_reset => {}
        () = pump(from_dialled, to_target, weather.clone(), |weather| weather.to) => {}
        () = pump(from_target, to_dialled, weather.clone(), |weather| weather.from) => {}
    }
}

/// Passes bytes on in one direction until there are no more.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    way: fn(&Weather) -> Way,
) {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match from.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => length,
        };
        let Ok(now) = weather.wait_for(|weather| way(weather).open).await.map(|now| way(&now)) else {
            return;
        };
        let slowed = now.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_micros(length as u64 * 1_000_000 / u64::from(rate.max(1)))
        });
        let waits = now.delay + slowed;
        if !waits.is_zero() {
            sleep(waits).await;
            // It may have been closed meanwhile.
            if weather.wait_for(|weather| way(weather).open).await.is_err() {
                return;
            }
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(10);
    const NOT_YET: Duration = Duration::from_millis(50);

    /// A server that sends back what it gets, and tells how much it has got.
    async fn echo() -> (SocketAddr, watch::Receiver<usize>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let (got, sees) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let got = got.clone();
                tokio::spawn(async move {
                    let mut piece = [0; 1024];
                    while let Ok(length @ 1..) = stream.read(&mut piece).await {
                        got.send_modify(|all| *all += length);
                        if stream.write_all(&piece[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        (address, sees)
    }

    async fn link() -> (Proxy, watch::Receiver<usize>, TcpStream) {
        let (address, got) = echo().await;
        let proxy = Proxy::open().await.expect("loopback has ports");
        proxy.lead_to(Some(address));
        let stream = TcpStream::connect(proxy.address()).await.expect("it listens");
        (proxy, got, stream)
    }

    fn on_loopback(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test);
    }

    async fn answer(stream: &mut TcpStream) -> io::Result<u8> {
        timeout(SOON, stream.read_u8()).await.expect("it answers or ends in time")
    }

    #[test]
    fn a_clear_link_passes_both_ways() {
        on_loopback(async {
            let (_proxy, _, mut stream) = link().await;
            stream.write_all(&[7]).await.expect("it is open");
            assert_eq!(answer(&mut stream).await.expect("an answer"), 7);
        });
    }

    #[test]
    fn a_link_that_is_cut_one_way_still_passes_the_other() {
        on_loopback(async {
            let (proxy, mut got, mut stream) = link().await;
            proxy.set(Weather { from: Way { open: false, ..Way::CLEAR }, ..Weather::CLEAR });
            stream.write_all(&[1, 2]).await.expect("it is open");
            timeout(SOON, got.wait_for(|got| *got == 2)).await.expect("in time").expect("it lives");
            assert!(timeout(NOT_YET, stream.read_u8()).await.is_err(), "the way back is cut");
            proxy.set(Weather::CLEAR);
            assert_eq!(answer(&mut stream).await.expect("what was held comes"), 1);
        });
    }

    #[test]
    fn a_reset_ends_open_connections_and_lets_new_ones_in() {
        on_loopback(async {
            let (proxy, _, mut stream) = link().await;
            stream.write_all(&[1]).await.expect("it is open");
            answer(&mut stream).await.expect("an answer");
            proxy.reset();
            answer(&mut stream).await.expect_err("the connection is gone");
            let mut again = TcpStream::connect(proxy.address()).await.expect("it listens");
            again.write_all(&[3]).await.expect("it is open");
            assert_eq!(answer(&mut again).await.expect("an answer"), 3);
        });
    }

    #[test]
    fn a_connection_is_not_let_through_a_closed_way_or_to_nobody() {
        on_loopback(async {
            let (proxy, mut got, _first) = link().await;
            let closed = Way { open: false, ..Way::CLEAR };
            proxy.set(Weather { to: closed, from: closed });
            let mut held = TcpStream::connect(proxy.address()).await.expect("it listens");
            held.write_all(&[5]).await.expect("the proxy takes it");
            assert!(timeout(NOT_YET, got.wait_for(|got| *got > 0)).await.is_err(), "nothing passes");
            proxy.reset();
            answer(&mut held).await.expect_err("it was reset while it was held");
            proxy.set(Weather::CLEAR);
            proxy.lead_to(None);
            let mut refused = TcpStream::connect(proxy.address()).await.expect("it listens");
            answer(&mut refused).await.expect_err("nobody is behind it");
        });
    }

    #[test]
    fn a_slow_link_takes_its_time() {
        on_loopback(async {
            let (proxy, _, mut stream) = link().await;
            let slow = Way { delay: Duration::from_millis(20), rate: Some(100), ..Way::CLEAR };
            proxy.set(Weather { to: slow, ..Weather::CLEAR });
            let start = std::time::Instant::now();
            stream.write_all(&[9; 4]).await.expect("it is open");
            answer(&mut stream).await.expect("an answer");
            assert!(start.elapsed() >= Duration::from_millis(60), "20 ms of delay and 40 ms for 4 bytes");
        });
    }

    #[test]
    fn a_link_that_is_dropped_leaves_no_port_and_no_connection() {
        on_loopback(async {
            let (proxy, _, mut stream) = link().await;
            stream.write_all(&[1]).await.expect("it is open");
            answer(&mut stream).await.expect("an answer");
            let address = proxy.address();
            drop(proxy);
            answer(&mut stream).await.expect_err("the connection is gone");
            TcpStream::connect(address).await.expect_err("nobody listens");
        });
    }
}
