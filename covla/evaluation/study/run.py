"""One study: posts in, an immutable result folder out. Cut off, it goes on where it was."""

import hashlib
import os
import shutil
import time
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

import covla
from covla.arrays import Array
from covla.errors import CovlaError
from covla.evaluation.study.inputs import CONDITIONS, Inputs, gather
from covla.evaluation.study.pool import pool
from covla.evaluation.study.posts import StudyPosts, read_posts, with_share
from covla.evaluation.study.result import About, Finished, existing, this_machine, write_result
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.study_teacher import StudyTeacher
from covla.evaluation.study.untrained import ensemble_teacher, label_nodes_alone, zero_shot
from covla.evaluation.study.variants import SharedConfig, Variant, choose, with_budgets
from covla.model.encoders import Encoders
from covla.posts.taxonomy import Taxonomy, load_taxonomy
from covla.settings import Settings
from covla.training.dataset import Progress
from covla.training.progress import quiet
from covla.training.teachers.resolve import NO_TEACHER
from covla.training.teachers.vectors import check_teacher


@dataclass(frozen=True)
class StudyConfig:
    """What is to be studied: the rows by name or kind (none: all but `tiny`), how many seeds, and
    whether the label budgets and the noise levels are wanted."""

    split: str = "val"
    seeds: int = 5
    names: tuple[str, ...] = ()
    budgets: bool = False
    noise: bool = False
    unlabelled: int | None = None


def study(
    folder: Path,
    out: Path,
    ask: StudyConfig,
    common: SharedConfig,
    settings: Settings,
    *,
    jobs: int = 0,
    progress: Progress = lambda name, done, total: None,
) -> Finished:
    """Fit, evaluate, compare and write `out`; returns where it is and what was found.

    Every result is kept in `out`.work as soon as it is there, under a name that depends on
    everything it was made from, code of model and training included; a later call with any rows
    and seeds takes it up. That folder may be deleted once `out` is there.

    Args:
        folder: a posts folder.
        jobs: parallel processes; 0 for one per core.

    Raises:
        CovlaError: bad posts, rows or teacher, before any long work; or `out` holds another study.
    """
    started = time.monotonic()
    quiet()
    taxonomy = load_taxonomy(settings=settings)
    rows = choose(ask.names, common)
    rows = with_budgets(rows) if ask.budgets else rows
    for row in rows:
        row.plan(common, 0).check()
    wanted = None if any(row.every_post for row in rows) else ask.unlabelled
    posts = read_posts(folder, ask.split, taxonomy, settings, unlabelled=wanted)
    if any(row.teacher for row in rows):
        check_teacher(common.teacher, posts.train)
    asked = {
        "posts": posts.digest, "split": ask.split, "seeds": ask.seeds,
        "rows": [row.name for row in rows], "noise": ask.noise, "unlabelled": ask.unlabelled,
        "labels": taxonomy.names, **asdict(common), "teacher": common.teacher.name,
    }  # fmt: skip
    if out.exists():
        return existing(out, asked)
    work = out.with_name(f"{out.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work / "lock", timeout=0):
            runner = Runner(rows, ask, common, posts, taxonomy, settings, work, progress)
            outcomes = runner.run(jobs or len(os.sched_getaffinity(0)))
            inputs, encoders = runner.inputs, runner.encoders
            counts: dict[str, Any] = posts.counts  # among the fields of `About`
            about = About(
                **vars(this_machine()), **counts, posts_folder=folder.name, asked=asked,
                n=len(inputs.judged.posts),
                train=int((inputs.train.teacher_labels >= 0).sum()),
                calibration=len(inputs.train.holdout),
                unlabelled=int((inputs.usual.labels < 0).sum()),
                unlabelled_in_all=int((inputs.train.labels < 0).sum()),
                skipped=inputs.train.skipped, encoder_id=encoders.id,
                cpu_seconds=round(sum(one.cpu_seconds for one in chain(*outcomes.values()))),
                seconds=round(time.monotonic() - started, 1), reused=runner.reused,
            )  # fmt: skip
            done = write_result(out, work, rows, outcomes, inputs, encoders, common, about)
            shutil.rmtree(work / "features", ignore_errors=True)  # large, and made again in minutes
    except Timeout:
        raise CovlaError(f"another study is writing {work}", hint="Wait for it") from None
    return done


@dataclass
class Runner:
    """The runs of a study, each once."""

    rows: list[Variant]
    ask: StudyConfig
    common: SharedConfig
    posts: StudyPosts
    taxonomy: Taxonomy
    settings: Settings
    work: Path
    progress: Progress
    reused: int = 0
    inputs: Inputs = field(init=False)
    encoders: Encoders = field(init=False)
    teaching: StudyTeacher = field(init=False)
    _vectors: dict[tuple[float, int], Array | None] = field(default_factory=dict)

    def run(self, jobs: int) -> dict[str, list[RunResult]]:
        """Outcomes by row name, one per seed (one alone for rows without chance)."""
        runs = [
            (row, seed, self._path(row, seed))
            for row in self.rows
            for seed in range(self.ask.seeds if row.trains else 1)
        ]
        tasks = [run for run in runs if not run[2].exists()]
        self.reused = len(runs) - len(tasks)
        noise = self.ask.noise and any(row.noisy for row, *_ in tasks)
        taught = any(row.teacher for row, *_ in tasks)
        self.inputs, self.encoders, self.teaching = gather(
            self.posts, self.rows, self.common.preset, self.taxonomy, self.settings, self.work,
            noise=noise, teacher=self.common.teacher if taught else NO_TEACHER,
            unlabelled=self.ask.unlabelled,
            copies=max(row.plan(self.common, 0).recipe.noisy_copies for row in self.rows),
            progress=self.progress,
        )  # fmt: skip
        self._run_all(tasks, len(runs), jobs)
        outcomes: dict[str, list[RunResult]] = {row.name: [] for row in self.rows}
        for row, _, path in runs:
            outcomes[row.name].append(RunResult.load(path))
        return outcomes

    def _run_all(self, tasks: list[tuple[Variant, int, Path]], total: int, jobs: int) -> None:
        done = self.reused
        self.progress("rows", done, total)
        # Rows without a teacher first: they run while the teachers are trained here.
        tasks = sorted(tasks, key=lambda task: (task[0].teacher, task[0].share != 1, task[1]))
        waiting: list[Future[None]] = []

        def collect(futures: list[Future[None]]) -> None:
            nonlocal done
            for future in futures:
                future.result()
                waiting.remove(future)
                done += 1
                self.progress("rows", done, total)

        with pool(jobs, self.inputs, self.common) as submit:
            for row, seed, path in tasks:
                if row.trains:
                    waiting.append(submit(row, seed, self._teach(row, seed), path))
                else:
                    self._untrained(row, seed).save(path)
                    done += 1
                collect([future for future in waiting if future.done()])
            for future in as_completed(list(waiting)):
                collect([future])

    def _untrained(self, row: Variant, seed: int) -> RunResult:
        if row.teacher:
            return ensemble_teacher(self.inputs, self.teaching, seed)
        if row.name == "label-nodes":
            return label_nodes_alone(self.inputs, seed)
        return zero_shot(self.inputs, self.encoders, self.taxonomy, self.settings)

    def _teach(self, row: Variant, seed: int) -> Array | None:
        """The teacher's vectors for this seed, taught from the labels of this budget alone."""
        if not row.teacher:
            return None
        key = (row.share, seed)
        if key not in self._vectors:
            data = with_share(self.inputs.train, row.share, seed)
            self._vectors[key] = self.teaching.vectors(data, seed)
        return self._vectors[key]

    def _path(self, row: Variant, seed: int) -> Path:
        conditions = CONDITIONS if self.ask.noise and row.noisy else ()
        plan = row.plan(self.common, seed)
        about = [
            row.name, row.share, seed, plan.preset, plan.arch, plan.teacher.id,
            plan.recipe.__dict__, plan.overrides, conditions, row.every_post,
            self.ask.unlabelled, self.posts.digest,
            self.common.preset, self.taxonomy.names, code_digest(),
        ]  # fmt: skip
        key = hashlib.sha256(orjson.dumps(about)).hexdigest()[:16]
        return self.work / "runs" / f"{row.name}.{seed}.{key}.npz"


@cache
def code_digest() -> str:
    """Hash of the package: a result of other code is not taken over. As it is when a process first
    needs it: what is imported does not change when a file does."""
    root = Path(covla.__file__).parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
