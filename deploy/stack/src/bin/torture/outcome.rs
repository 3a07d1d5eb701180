//! What a row came to.

use std::time::Duration;

use anyhow::Result;

use crate::checker::Verdict;
use crate::cli::Arguments;
use crate::rows::Row;
use crate::times::Times;

/// What a row that ran to its end found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What the checker said at its end.
    pub(crate) verdict: Verdict,
    /// Times that were measured.
    pub(crate) times: Vec<(String, Times)>,
    /// Other figures, each a short sentence.
    pub(crate) notes: Vec<String>,
}

/// A row that was played.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) row: Row,
    pub(crate) outcome: Result<Outcome>,
    pub(crate) faults: u64,
    pub(crate) rounds: u64,
    pub(crate) took: Duration,
}

impl Played {
    /// Did everything hold that has to?
    pub(crate) fn held(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|outcome| outcome.verdict.findings.is_empty())
    }

    /// One line on the screen, and what went wrong below it.
    pub(crate) fn line(&self, arguments: &Arguments) -> String {
        let (name, took) = (self.row.name(), self.took.as_secs());
        let begin = format!("{name:<4}");
        let counts = format!("{} rounds, {} faults", self.rounds, self.faults);
        let (verdict, wrong) = match &self.outcome {
            Ok(outcome) => (outcome.verdict.sentence(), outcome.verdict.some_findings()),
            Err(error) => ("not finished".to_owned(), vec![format!("{error:#}")]),
        };
        if self.held() {
            return format!("{begin} ok      {took:>4} s  {counts}: {verdict}");
        }
        let wrong: String = wrong.iter().map(|finding| format!("\n     {finding}")).collect();
        let again = arguments.again(self.row);
        format!("{begin} FAILED  {took:>4} s  {counts}: {verdict}{wrong}\n     again: {again}")
    }
}
