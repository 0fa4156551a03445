//! Purpose: finding out what a ladder asks: branches and pull requests of the companion, images of the registry.

use secrecy::SecretString;
use serde::Serialize;

use super::settings::Settings;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::ladder::{Answer, Presence, Question};
use crate::domain::names::{BranchName, CommitSha, Digest, RepositoryName};
use crate::domain::reference::{ImageName, ImageRef};
use crate::runner::{Failure, Kind, Log};
use crate::services::github::{GithubClient, GithubError, Repository};
use crate::services::registry::{Existence, Way};
use crate::services::{Classified as _, ErrorClass};

/// Changed paths that are shown.
const SHOWN_PATHS: usize = 5;

/// One question and its answer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Evidence {
    /// What was asked, as a noun phrase.
    pub(super) question: String,
    /// What was answered, in a few words.
    pub(super) answer: String,
    /// The image, when the question was about one.
    pub(super) image: Option<String>,
    /// Its digest, when it exists.
    pub(super) digest: Option<Digest>,
}

/// Asks, and remembers what was said.
pub(super) struct Asker {
    companion: Option<Companion>,
    subject: Option<Subject>,
    existence: Existence,
    evidence: Vec<Evidence>,
    log: Log,
}

/// The pull request under test.
struct Subject {
    github: GithubClient,
    repository: RepositoryName,
    number: u64,
    commit: CommitSha,
}

/// The companion repository; read once, before or together with the first question about it.
struct Companion {
    name: RepositoryName,
    github: GithubClient,
    seen: Option<Repository>,
    has_own_token: bool,
}

impl Asker {
    pub(super) fn new(settings: &Settings, run: &Run) -> Result<Self, Failure> {
        let clients = Clients::new(run);
        let token: Option<SecretString> = settings.companion_token.clone();
        let companion = settings.companion.as_ref().map(|name| {
            Ok::<_, Failure>(Companion {
                name: name.clone(),
                has_own_token: token.is_some(),
                github: clients.github_with(token)?,
                seen: None,
            })
        });
        let facts = &settings.facts;
        let subject = match (&settings.own, facts.pull_request, &facts.commit_sha) {
            (Some(repository), Some(number), Some(commit)) => Some(Subject {
                github: clients.github()?,
                repository: repository.clone(),
                number,
                commit: commit.clone(),
            }),
            _ => None,
        };
        let own: Vec<&str> = settings.facts.image.iter().map(ImageName::registry).collect();
        Ok(Self {
            companion: companion.transpose()?,
            subject,
            existence: clients.existence(None, &own)?,
            evidence: Vec::new(),
            log: run.log.clone(),
        })
    }

    pub(super) fn into_evidence(self) -> Vec<Evidence> {
        self.evidence
    }

    /// Finds out. There is no answer but a definite one.
    pub(super) async fn answer(&mut self, question: Question) -> Result<Answer, Failure> {
        match question {
            Question::Branch(name) => self.branch(name).await,
            Question::Image(image) => self.image(image).await,
            Question::DefaultBranch => self.default_branch().await,
            Question::CompanionPullRequest(branch) => self.pull_request(branch).await,
            Question::ChangedPaths => self.changed_paths().await,
        }
    }

    async fn branch(&mut self, name: String) -> Result<Answer, Failure> {
        let companion = self.companion()?;
        let question = format!("branch '{name}' of {}", companion.name);
        let head = match name.parse::<BranchName>() {
            Ok(branch) => companion.head(&branch).await?,
            // No repository can have a branch of that name.
            Err(_) => None,
        };
        let answer = head.as_ref().map_or_else(|| "absent".to_owned(), |sha| format!("exists, at {}", sha.short()));
        self.note(question, answer);
        Ok(Answer::Branch(name, presence(head.is_some())))
    }

    async fn image(&mut self, image: ImageRef) -> Result<Answer, Failure> {
        let found = self.existence.find(&image).await?;
        let by = match found.way {
            Way::Ecr => " (ECR)",
            Way::Registry => "",
            Way::Engine => " (through the engine)",
        };
        let answer = match &found.digest {
            Some(digest) => format!("exists, {digest}{by}"),
            None => format!("absent{by}"),
        };
        self.note(format!("image {image}"), answer);
        let known = Answer::Image(image.clone(), presence(found.digest.is_some()));
        if let Some(evidence) = self.evidence.last_mut() {
            (evidence.image, evidence.digest) = (Some(image.to_string()), found.digest);
        }
        Ok(known)
    }

    async fn default_branch(&mut self) -> Result<Answer, Failure> {
        let companion = self.companion()?;
        let name = companion.repository().await?.default_branch.to_string();
        let question = format!("default branch of {}", companion.name);
        self.note(question, format!("'{name}'"));
        Ok(Answer::DefaultBranch(name))
    }

    /// The newest open pull request of the companion's own branch.
    async fn pull_request(&mut self, branch: String) -> Result<Answer, Failure> {
        let companion = self.companion()?;
        let question = format!("open pull request of '{branch}' in {}", companion.name);
        let number = match branch.parse::<BranchName>() {
            Ok(name) => companion.newest_pull_request(&name).await?,
            Err(_) => None,
        };
        self.note(question, number.map_or_else(|| "none".to_owned(), |number| format!("#{number}")));
        Ok(Answer::CompanionPullRequest(branch, number))
    }

    /// The paths that the pull request under test changes, asked of the API.
    async fn changed_paths(&mut self) -> Result<Answer, Failure> {
        let Some(subject) = &self.subject else {
            return Err(Failure::input(
                "the ladder asks which paths change, but pull request, commit or repository are not known",
                "Set `pull_request` and `commit_sha`; GITHUB_REPOSITORY names the repository.",
            ));
        };
        let github = subject.github.clone();
        let repository = github.repository(&subject.repository).await?;
        let paths = github.changed_paths(&repository, subject.number, &subject.commit).await?;
        let question = format!("paths changed by pull request #{} at {}", subject.number, subject.commit.short());
        let shown = paths.iter().take(SHOWN_PATHS).map(String::as_str).collect::<Vec<_>>().join(", ");
        let answer = match paths.len() {
            0 => "none".to_owned(),
            count if count > SHOWN_PATHS => format!("{count}: {shown}, …"),
            count => format!("{count}: {shown}"),
        };
        self.note(question, answer);
        Ok(Answer::ChangedPaths(paths))
    }

    /// A ladder asks about the companion only when there is one.
    fn companion(&mut self) -> Result<&mut Companion, Failure> {
        self.companion.as_mut().ok_or_else(|| {
            Failure::new(Kind::Input, "invalid-input", "Invalid input", "companion is required and not set")
        })
    }

    fn note(&mut self, question: String, answer: String) {
        self.log.info(format!("{question}: {answer}"));
        self.evidence.push(Evidence { question, answer, image: None, digest: None });
    }
}

impl Companion {
    async fn repository(&mut self) -> Result<&Repository, Failure> {
        let seen = match self.seen.take() {
            Some(seen) => seen,
            None => self.github.repository(&self.name).await.map_err(|error| self.unreadable(error))?,
        };
        Ok(self.seen.insert(seen))
    }

    /// The head of a branch. The first question asks for the repository at the same time: what is said about a branch
    /// of a repository that cannot be seen means nothing.
    async fn head(&mut self, branch: &BranchName) -> Result<Option<CommitSha>, Failure> {
        if let Some(repository) = &self.seen {
            return self.github.branch_head(repository, branch).await.map_err(|error| self.unreadable(error));
        }
        let both = self.github.repository_and_head(&self.name, branch).await;
        let (repository, head) = both.map_err(|error| self.unreadable(error))?;
        self.seen = Some(repository);
        Ok(head)
    }

    async fn newest_pull_request(&mut self, branch: &BranchName) -> Result<Option<u64>, Failure> {
        let owner = self.name.owner().to_owned();
        let repository = self.repository().await?.clone();
        let mut pages = self.github.open_pull_requests(&repository, &owner, branch);
        let mut newest = None;
        while let Some(pull) = pages.next().await.map_err(|error| self.unreadable(error))? {
            newest = newest.max(Some(pull.number));
        }
        Ok(newest)
    }

    /// The usual failure, with the token that matters here named first.
    fn unreadable(&self, error: GithubError) -> Failure {
        let class = error.class();
        let is_about_access =
            matches!(class, ErrorClass::NotFound | ErrorClass::Unauthenticated | ErrorClass::Forbidden);
        let mut failure = Failure::from(error);
        if is_about_access {
            let hint = if self.has_own_token {
                format!("Check `companion_token`: it must be valid and may read the contents of {}.", self.name)
            } else {
                format!(
                    "Set `companion_token` to a token that may read the contents of {}; the job's own token sees its own repository and public ones only.",
                    self.name
                )
            };
            // In place of the general advice on tokens; what follows that is about the job's own.
            failure.hints = vec![hint];
        }
        failure
    }
}

fn presence(is_there: bool) -> Presence {
    if is_there { Presence::Present } else { Presence::Absent }
}
