"""The loop that closes: look at the champion, train a challenger when there is cause, let it answer when it is better.

Each look is whole in itself: what was decided stands in the catalog, so that a watcher that was killed goes on where it
was. What follows from a decision is written before the decision's end: between any two writes a kill loses nothing. One look at a time acts on a pipeline, whoever looks: it holds a lease.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from penstock.arrivals import Arrivals
from penstock.challenger import train_challenger
from penstock.deploy import rollout
from penstock.deploy.judging import FIRST_LOOK, LEVEL
from penstock.deploy.registry import CHAMPION, ModelVersion, Registry
from penstock.engine.memory import Claims
from penstock.monitor.decisions import Decision, decide, decisions_of, end, told
from penstock.monitor.log import files_since, log_folder
from penstock.monitor.looks import LOOKS, is_due
from penstock.monitor.options import Retrain
from penstock.monitor.telling import send
from penstock.monitor.window import counted, labelled
from penstock.monitored import Monitoring, in_words
from penstock.outcome import load
from penstock.pipeline import Pipeline
from penstock.store.store import Store
from penstock.traffic import WORSE, worse_than
from penstock.types.durations import length_of
from penstock.types.writing import figure
from penstock.watch import latest_of, monitor

_DAY = 86_400.0
_GIVE_UP = 86_400.0
"""Who could not be told for so long is told no more."""


@dataclass
class Watcher:
    """Looks after one pipeline.

    Parameters
    ----------
    store : Store
        Its store.
    pipeline : Pipeline
        What it is.
    file : str
        Where it stands: ``path.py`` or ``path.py:name``; a challenger is trained by ``penstock run`` of it.
    say : callable
        Told in words what is done.
    """

    store: Store
    pipeline: Pipeline
    file: str
    say: Callable[[str], None] = lambda _text: None
    _looks: dict[int, int] = field(default_factory=dict)
    _problem: str = ""
    _last: Monitoring | None = None
    _last_at: float = 0.0
    _last_labels: int = 0

    def __post_init__(self) -> None:
        pause = self.policy.cool_down if self.policy is not None else 0.0
        self._arrivals = Arrivals(self.pipeline, self.store, pause, self.say)

    @property
    def name(self) -> str:
        """The pipeline's."""
        return self.pipeline.name

    @property
    def policy(self) -> Retrain | None:
        """What may be done."""
        return self.pipeline.monitor.retrain

    def look(self) -> Monitoring | None:
        """Look once, and do what there is cause for.

        Returns
        -------
        Monitoring or None
            What was seen; None when another watcher holds the lease, or there is no champion yet.
        """
        claims = Claims(self.store, "watch")
        lease = f"watch {self.name}"
        if not claims.take(lease):
            return None
        try:
            return self._look(claims)
        finally:
            claims.give_back(lease)

    def _look(self, claims: Claims) -> Monitoring | None:
        for begun in decisions_of(self.store, self.name, "retrain", "begun"):
            self._train(begun, claims)
        registry = Registry(self.store, self.name)
        if registry.champion() is None:
            first = self._first()
            if first is not None:
                self._retrain(first, "there is no champion yet", claims)
            if registry.champion() is None:
                self._tell()
                return None
        self._answered()
        self._tried()
        self._compare(registry)
        found = self._seen(registry.version(CHAMPION))
        alarm = self._alarm(found)
        if self.policy is not None:
            cause = self._cause(found, alarm, registry.version(CHAMPION))
            if cause is not None:
                self._retrain(*cause, claims)
        self._tell()
        return found

    def _first(self) -> str | None:
        """Return the cause of a first training, or of another when that failed or new rows came."""
        if self.policy is None:
            return None
        done, now = decisions_of(self.store, self.name, "retrain"), time.time()
        if not done:
            return "first"
        latest, today = done[0], sum(now - item.at < _DAY for item in done)
        if now - (latest.ended or latest.at) < self.policy.cool_down or today >= self.policy.most_per_day:
            return None
        return f"first:{latest.id}" if latest.status == "failed" or self._new_data(latest) else None

    def _seen(self, version: ModelVersion) -> Monitoring:
        """Judge the window when enough of it is new, at a share of the significance, or when labels came.

        Else return what was seen; the first look judges what a watcher before it has judged. Labels alone change what is
        said of the metric.
        """
        how, now, last = self.pipeline.monitor, time.time(), self._last
        if not files_since(log_folder(self.store.folder, self.name)):
            return self._unasked(version)
        new, labels = counted(log_folder(self.store.folder, self.name), version.version, self._last_at or now)
        enough, until = True, None
        if last is not None and last.version == version.version:
            enough = is_due(new, last.window.rows, how.least)
            if not enough and labels < self._last_labels + FIRST_LOOK:
                return last
        else:
            until = latest_of(self.store, version, how)
        found = monitor(self.name, self.store, replace(how, significance=how.significance / LOOKS), until=until)
        self._last_labels = labels
        if enough or last is None:
            self._last, self._last_at = found, until or now
            return found
        before = "drift" if last.moved else "calm" if last.columns else "not enough data"
        self._last = replace(
            found,
            columns=last.columns,
            bearing=last.bearing,
            answers=last.answers,
            together=last.together,
            skew=last.skew,
            within=last.within,
            window=last.window,
            status="drift" if found.worse else before,
        )
        return self._last

    def _unasked(self, version: ModelVersion) -> Monitoring:
        """Judge the rows that have come to the source since the champion learnt, where no service is asked.

        Again when enough of them is new, as :meth:`_seen` does.
        """
        how, last = self.pipeline.monitor, self._last
        batch = self._arrivals.unlearnt(version, how)
        if batch is None or batch.times is None:
            return monitor(self.name, self.store, how)
        new = int((batch.times > self._last_at).sum())
        if last is not None and last.version == version.version and not is_due(new, len(batch.times), how.least):
            return last
        self._last = monitor(self.name, self.store, replace(how, significance=how.significance / LOOKS), batch)
        self._last_at = float(batch.times[-1])
        return self._last

    def _alarm(self, found: Monitoring) -> Decision | None:
        """Keep the first sight of an alarm, and its end; return the alarm that stands."""
        state = next((item for item in decisions_of(self.store, self.name) if item.what in ("alarm", "calm")), None)
        number = len(decisions_of(self.store, self.name, "alarm"))
        standing = state if state is not None and state.what == "alarm" else None
        if standing is not None and standing.version != found.version:
            why = f"v{found.version} answers now"
            decide(self.store, self.name, f"calm:{standing.id}", "calm", why, version=found.version)
            standing = None
        if found.status == "drift" and standing is None:
            why = in_words(found)
            standing = decide(self.store, self.name, f"alarm:{number + 1}", "alarm", why, version=found.version)
            self.say(f"alarm: {why}")
        elif found.status == "calm" and standing is not None:
            why = "all is as it was learnt again"
            decide(self.store, self.name, f"calm:{standing.id}", "calm", why, version=found.version)
            self.say("calm again")
            standing = None
        return standing

    def _cause(self, found: Monitoring, alarm: Decision | None, champion: ModelVersion) -> tuple[str, str] | None:
        """Return what asks for a retraining, if something does and nothing stands against it."""
        policy = self.policy
        assert policy is not None
        done = decisions_of(self.store, self.name, "retrain")
        latest = done[0] if done else None
        now = time.time()
        if latest is not None and now - (latest.ended or latest.at) < policy.cool_down:
            return None
        if rollout.rollout_of(self.store, self.name).canary is not None or decisions_of(
            self.store, self.name, status="asked"
        ):
            return None  # one challenger after the other
        cause = self._asks(policy, found, alarm, champion, latest)
        if cause is None:
            return None
        if sum(now - item.at < _DAY for item in done) >= policy.most_per_day:
            why = f"{cause[1]}; and so many retrainings a day are enough: {policy.most_per_day}"
            if decide(self.store, self.name, f"enough:{int(now // _DAY)}", "wait", why):
                self.say(f"waits: {why}")
            return None
        return cause

    def _asks(
        self,
        policy: Retrain,
        found: Monitoring,
        alarm: Decision | None,
        champion: ModelVersion,
        latest: Decision | None,
    ) -> tuple[str, str] | None:
        since = max(champion.created, latest.at if latest is not None else 0.0)
        number = 0 if latest is None else latest.id
        fresh = self._new_data(latest) if alarm is not None or "data" in policy.on else False
        if alarm is not None and "drift" in policy.on:
            # Columns that moved are a hint; where labels came, they say whether it does harm.
            harmless = found.performance is not None and not found.worse
            if fresh and not harmless:
                return f"drift:{alarm.id}:{number}", alarm.why
            but = "labels show no harm" if harmless else "the source holds no new rows to learn from"
            why = f"{alarm.why}; and {but}"
            if decide(self.store, self.name, f"wait:{alarm.id}:{number}", "wait", why):
                self.say(f"waits: {why}")
        if "data" in policy.on and fresh:
            return f"data:{champion.version}:{number}", "the source holds new rows"
        if policy.every is not None and time.time() - since > policy.every:
            return f"calendar:{int(since)}", f"nothing was learnt for {(time.time() - since) / _DAY:.1f} days"
        if policy.labels is not None or policy.growth is not None:
            count = self._labels(since)
            wanted = policy.labels or max(1, math.ceil((policy.growth or 0.0) * self._learnt(champion)))
            if count >= wanted:
                return f"labels:{champion.version}:{number}", f"{count:,} labels came since it was last learnt"
        return None

    def _learnt(self, champion: ModelVersion) -> int:
        """How many rows a version has learnt from."""
        profile = load(self.name, champion.version, self.store, events=False).manifest.profile
        return max((column.rows for column in profile.columns), default=0)

    def _new_data(self, latest: Decision | None) -> bool:
        """Whether the source holds what was not learnt from."""
        champion = Registry(self.store, self.name).champion()
        learnt = [item.run for item in (latest, champion) if item is not None and item.run is not None]
        return not learnt or self._arrivals.new(max(learnt))  # ids of runs begin with their time

    def _labels(self, since: float) -> int:
        return sum(1 for _ in labelled(log_folder(self.store.folder, self.name), since))

    def _retrain(self, cause: str, why: str, claims: Claims) -> None:
        made = decide(self.store, self.name, cause, "retrain", why, status="begun")
        if made is not None:
            self._train(made, claims)

    def _train(self, decision: Decision, claims: Claims) -> None:
        self.say(f"trains a challenger: {decision.why}")
        made = train_challenger(self.store, self.name, self.file, claims.renew)
        self.say(made.why)
        if made.status == "passed" and made.version is not None:
            self._passed(made.version, decision)
        status = "failed" if made.status == "failed" else "done"
        end(self.store, decision.id, status, f"{decision.why}: {made.why}", made.version, made.run)

    def _passed(self, version: int, by: Decision) -> None:
        policy = self.policy or Retrain()
        if policy.approve:
            why = f"v{version} passed the gate; answer with: penstock approve {self.name} NUMBER, or reject"
            asked = decide(self.store, self.name, f"approve:v{version}:{by.id}", "promote", why, "asked", version)
            if asked is not None:
                self.say(f"asks (decision {asked.id}): {why}")
            return
        self._take(version, f"{by.id}")

    def _take(self, version: int, by: str) -> None:
        """Let a version answer: first a share of the requests, where that is wanted and there is a champion."""
        policy, registry = self.policy or Retrain(), Registry(self.store, self.name)
        if policy.canary is not None and registry.champion() is not None:
            why = f"v{version} answers {policy.canary:.0%} of the requests for {length_of(policy.hold)}"
            if decide(self.store, self.name, f"canary:v{version}:{by}", "canary", why, "begun", version):
                rollout.begin(self.store, self.name, "canary", version, policy.canary, why)
                self.say(why)
            return
        why = f"v{version} passed the gate"
        if decide(self.store, self.name, f"promote:v{version}:{by}", "promote", why, "begun", version):
            self._promote(version)

    def _promote(self, version: int) -> None:
        """Do what was decided; done again after a kill, it changes nothing."""
        for begun in decisions_of(self.store, self.name, "promote", "begun"):
            if begun.version == version:
                Registry(self.store, self.name).promote(version, f"decision {begun.id}: {begun.why}")
                end(self.store, begun.id, "done")
                self.say(f"v{version} is the champion")

    def _answered(self) -> None:
        """Do what a person has approved, and what was begun before a kill."""
        for begun in decisions_of(self.store, self.name, "promote", "begun"):
            self._promote(begun.version or 0)
        for item in decisions_of(self.store, self.name, "promote", "approved"):
            self._take(item.version or 0, f"{item.id}")
            end(self.store, item.id, "done")
        for item in decisions_of(self.store, self.name, "rollback", "begun"):
            self._roll_back(item)

    def _tried(self) -> None:
        """See what became of a canary: it was stopped, or has held for long enough."""
        policy = self.policy or Retrain()
        now = rollout.rollout_of(self.store, self.name)
        for item in decisions_of(self.store, self.name, "canary", "begun"):
            if now.canary != item.version:
                changes = rollout.changes(self.store, self.name)
                last = next((change for change in changes if change.kind == "canary"), None)
                if last is None or last.version == item.version:
                    champion = Registry(self.store, self.name).champion()
                    if champion is None or champion.version != item.version:
                        # Decided, and killed before it began.
                        rollout.begin(
                            self.store, self.name, "canary", item.version or 0, policy.canary or 0.1, item.why
                        )
                        continue
                why = "it is the champion" if last is None or last.version == item.version else last.why
                end(self.store, item.id, "done", f"{item.why}: ended: {why}")
                self.say(f"canary v{item.version} ended: {why}")
            elif time.time() - item.at > policy.hold:
                why = f"v{item.version} held as a canary"
                decide(
                    self.store, self.name, f"promote:v{item.version}:{item.id}", "promote", why, "begun", item.version
                )
                rollout.end(self.store, self.name, "canary", why)
                self._promote(item.version or 0)
                end(self.store, item.id, "done", f"{item.why}: held")

    def _compare(self, registry: Registry) -> None:
        """Roll a new champion back when the one before would surely, and by enough, have answered better."""
        policy, champion = self.policy, registry.version(CHAMPION)
        done = next((item for item in decisions_of(self.store, self.name, "promote", "done")), None)
        if policy is None or done is None or done.version != champion.version or done.ended is None:
            return
        before = [
            change.version for change in registry.history() if change.alias == CHAMPION and change.at < done.ended
        ]
        earlier = next((version for version in before if version not in (None, champion.version)), None)
        if earlier is None or time.time() - done.ended > policy.hold:
            return
        known = labelled(log_folder(self.store.folder, self.name), done.ended)
        pairs = [
            (record, label) for record, label in known if record.version == champion.version and record.row is not None
        ]
        turn = -1
        while len(pairs) >= FIRST_LOOK * 2 ** (turn + 1):
            turn += 1
        if turn < 0 or self._looks.get(done.id, -1) >= turn:
            return
        self._looks[done.id] = turn
        chance, mine, others = worse_than(self.store, self.name, earlier, pairs)
        if not (chance < LEVEL / 2.0 ** (turn + 1) and mine >= WORSE * others):
            return
        why = (
            f"on {len(pairs):,} labelled answers its mean loss is {figure(mine)}, and v{earlier} would have had "
            f"{figure(others)} (paired t-test, p = {chance:.2g})"
        )
        made = decide(self.store, self.name, f"rollback:{done.id}", "rollback", why, "begun", earlier)
        if made is not None:
            self._roll_back(made)

    def _roll_back(self, decision: Decision) -> None:
        """Do what was decided; done again after a kill, it changes nothing."""
        Registry(self.store, self.name).promote(decision.version or 0, f"rolled back by the watcher: {decision.why}")
        end(self.store, decision.id, "done")
        self.say(f"rolled back to v{decision.version}: {decision.why}")

    def _tell(self) -> None:
        """Tell people what they were not told yet; who cannot be reached is tried again at the next look."""
        channels = self.pipeline.monitor.tell
        for item in reversed(decisions_of(self.store, self.name)):
            if item.told is not None or item.status == "begun":
                continue
            text = f"{self.name}: {item.what}{'' if item.status == 'done' else f' {item.status}'}: {item.why}"
            facts = {"text": text, **{key: value for key, value in vars(item).items() if key != "told"}}
            problems = [problem for channel in channels if (problem := send(channel, facts)) is not None]
            if not problems or time.time() - item.at > _GIVE_UP:
                told(self.store, item.id)
            elif problems[0] != self._problem:
                self._problem = problems[0]
                self.say(f"cannot tell: {problems[0]}")
