//! A client that takes nothing of its answer: it is waited for, and not for ever, since what waits for it is kept in memory.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A connection that ends when nothing of what is written to it is taken for so long.
pub struct Patient<S> {
    connection: S,
    patience: Duration,
    /// Runs while the other side takes nothing.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// This connection, with so much patience.
    pub fn new(connection: S, patience: Duration) -> Self {
        Patient { connection, patience, waits: None }
    }

    fn taken<T>(&mut self, cx: &mut Context<'_>, poll: Poll<Result<T>>) -> Poll<Result<T>> {
        if poll.is_ready() {
            self.waits = None;
            return poll;
        }
        let patience = self.patience;
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        waits.as_mut().poll(cx).map(|()| Err(Error::from(ErrorKind::TimedOut)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let poll = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.taken(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let poll = Pin::new(&mut self.connection).poll_write_vectored(cx, bytes);
        self.taken(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let poll = Pin::new(&mut self.connection).poll_flush(cx);
        self.taken(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let poll = Pin::new(&mut self.connection).poll_shutdown(cx);
        self.taken(cx, poll)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_client_that_takes_nothing_is_waited_for_and_not_for_ever() {
        runtime().block_on(async {
            let (server, _client) = duplex(16);
            let mut server = Patient::new(server, Duration::from_millis(20));
            server.write_all(&[0; 16]).await.unwrap();
            assert_eq!(server.write_all(&[0; 16]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_client_that_takes_a_little_now_and_then_gets_all_of_it() {
        runtime().block_on(async {
            let (server, mut client) = duplex(16);
            let mut server = Patient::new(server, Duration::from_secs(20));
            let takes = tokio::spawn(async move {
                let mut taken = Vec::new();
                while taken.len() < 4096 {
                    tokio::task::yield_now().await;
                    taken.push(client.read_u8().await.unwrap());
                }
                taken
            });
            server.write_all(&[7; 4096]).await.unwrap();
            assert_eq!(takes.await.unwrap(), [7; 4096]);
            // Nothing is left that would end a connection on which nothing is written.
            assert!(server.waits.is_none());
        });
    }
}
