use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use locule_testbed::Proxy;

/// Answers every byte with the next one; its port.
fn counter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() {
                    if stream.write_all(&[byte[0] + 1]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Client {
        Client::try_of(proxy).unwrap()
    }

    fn try_of(proxy: &Proxy) -> std::io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port()))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Client(stream))
    }

    fn ask(&mut self, byte: u8) -> std::io::Result<u8> {
        self.0.write_all(&[byte])?;
        self.hear()
    }

    fn hear(&mut self) -> std::io::Result<u8> {
        let mut answer = [0];
        self.0.read_exact(&mut answer)?;
        Ok(answer[0])
    }

    fn hears_nothing(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(self.hear().unwrap_err().kind(), ErrorKind::WouldBlock);
        self.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
}

#[test]
fn a_cut_resets_and_refuses_until_it_is_healed() {
    let proxy = Proxy::before(counter());
    let mut client = Client::of(&proxy);
    assert_eq!(client.ask(1).unwrap(), 2);
    assert_eq!(proxy.connections(), 1);

    proxy.cut();
    assert_eq!(proxy.connections(), 0);
    assert_eq!(client.hear().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(Client::try_of(&proxy).err().unwrap().kind(), ErrorKind::ConnectionRefused);

    proxy.heal();
    assert_eq!(Client::of(&proxy).ask(7).unwrap(), 8);
    proxy.cut();
    proxy.cut();
}

#[test]
fn a_stalled_line_forwards_nothing_and_goes_on_when_healed() {
    let proxy = Proxy::before(counter());
    let mut before = Client::of(&proxy);
    assert_eq!(before.ask(1).unwrap(), 2);

    proxy.stall();
    let mut during = Client::of(&proxy);
    for client in [&mut before, &mut during] {
        client.0.write_all(&[10]).unwrap();
        client.hears_nothing();
    }

    proxy.heal();
    assert_eq!(before.hear().unwrap(), 11);
    assert_eq!(during.hear().unwrap(), 11);
}

#[test]
fn a_mute_line_carries_the_question_and_not_the_answer() {
    let heard = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::before(heard.local_addr().unwrap().port());
    let mut client = Client::of(&proxy);
    let (mut server, _) = heard.accept().unwrap();

    proxy.mute();
    client.0.write_all(&[1]).unwrap();
    let mut question = [0];
    server.read_exact(&mut question).unwrap();
    server.write_all(&[2]).unwrap();
    client.hears_nothing();

    proxy.cut();
    assert_eq!(client.hear().unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_cut_ends_also_who_waits_in_a_stall_or_writes_to_nobody() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::before(deaf.local_addr().unwrap().port());
    let mut writer = Client::of(&proxy);
    let (_server, _) = deaf.accept().unwrap();
    writer.0.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while writer.0.write(&[0; 65536]).is_ok() {}

    proxy.stall();
    let _waiting = Client::of(&proxy);
    proxy.cut();
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_delay_holds_back_both_ways() {
    let proxy = Proxy::before(counter());
    let mut client = Client::of(&proxy);
    proxy.delay(Duration::from_millis(50));
    let begin = Instant::now();
    assert_eq!(client.ask(1).unwrap(), 2);
    assert!(begin.elapsed() >= Duration::from_millis(100));
}

#[test]
fn an_end_is_passed_on() {
    let proxy = Proxy::before(counter());
    let mut client = Client::of(&proxy);
    assert_eq!(client.ask(1).unwrap(), 2);
    client.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.hear().unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
