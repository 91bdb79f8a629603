//! Jobs: the statements over them, those that look here and those that change in [`write`].
//!
//! A job is in its space and nowhere else. What tells whoever works that a space has something to do is its mark in the
//! directory, which is made before a job is there and taken away only by a writer of the space that sees none.

mod row;
mod write;

use locule_core::id::JobId;
use locule_core::job::{Job, JobPage, JobQuery};
use locule_core::{Error, Result};

use self::row::{COLUMNS, job};
pub(crate) use self::row::{ERROR, PAYLOAD, RESULTS};
pub use self::write::{Claimed, Terms};
use crate::space::Reader;
use crate::tx::{Owned, Sql, Value};

impl Reader<'_> {
    /// One job.
    pub fn job(&self, id: JobId) -> Result<Job> {
        let sql = format!("SELECT {COLUMNS} FROM space_jobs WHERE id = $1");
        self.tx.first(&sql, &[Value::Id(id.as_bytes())], job)?.ok_or_else(Error::not_found)
    }

    /// A page of jobs, newest first.
    pub fn jobs(&self, query: &JobQuery) -> Result<JobPage> {
        query.check()?;
        let mut sql = Sql::default();
        sql.push("SELECT count(*) FROM space_jobs WHERE ");
        push_matching(&mut sql, query);
        let total = self.tx.first(sql.text(), &sql.values(), |row| row.integer(0))?.unwrap_or(0) as u64;

        let mut sql = Sql::default();
        sql.push("SELECT ").push(COLUMNS).push(" FROM space_jobs WHERE ");
        push_matching(&mut sql, query);
        if let Some(before) = query.before {
            sql.push(" AND id < ").bind(Owned::Id(*before.as_bytes()));
        }
        // One more than asked for tells whether there is a next page.
        sql.push(" ORDER BY id DESC LIMIT ").bind(Owned::Integer(query.limit as i64 + 1));
        if query.offset > 0 {
            sql.push(" OFFSET ").bind(Owned::Integer(query.offset as i64));
        }
        let mut jobs = self.tx.all(sql.text(), &sql.values(), job)?;
        let more = jobs.len() > query.limit;
        jobs.truncate(query.limit);
        let next = jobs.last().filter(|_| more).map(|job| job.id);
        Ok(JobPage { jobs, total, next })
    }

    /// What the jobs count for in the space's size.
    pub(crate) fn job_bytes(&self) -> Result<u64> {
        // The sum of large numbers is of another type in PostgreSQL, and is made one again.
        let sql = "SELECT CAST(coalesce(sum(size_bytes), 0) AS bigint) FROM space_jobs";
        Ok(self.tx.first(sql, &[], |row| row.integer(0))?.unwrap_or(0) as u64)
    }
}

fn push_matching(sql: &mut Sql, query: &JobQuery) {
    sql.push("TRUE");
    if let Some(kind) = query.kind {
        sql.push(" AND kind = ").bind(Owned::Text(kind.as_str().to_owned()));
    }
    if let Some(status) = query.status {
        sql.push(" AND status = ").bind(Owned::Text(status.as_str().to_owned()));
    }
}
