"""Report on finished runs as one HTML page: ``cicam_mm report WORK_DIR...``."""
from _cli import ArgumentParser, positive, run

parser = ArgumentParser(
    'Report results, curves, errors, pictures and settings of finished runs on one '
    'self-contained page. A work directory may also hold metrics.json (test.py --out), '
    'predictions/ (test.py --dump) and threshold_search/ (search_threshold.py). Nothing in '
    'it is run without --trust-configs.', 'report work_dirs/cam work_dirs/cicam')
parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR')
parser.add_output('--out', default='report.html', metavar='FILE', help='default: report.html')
parser.add_argument('--title', default='Weakly supervised object localization')
parser.add_argument('--images', type=positive, default=6, metavar='N',
                    help='number of best images, and of worst images, per run; default: 6')
parser.add_argument('--trust-configs', action='store_true',
                    help='build the models and data sets named in the configs of the work '
                    'directories, for predictions and pictures; this can run any code, so '
                    'use it only for runs of people you trust')
parser.add_argument('--saved-only', action='store_true',
                    help='without saved predictions, leave out error kinds and images instead '
                    'of predicting the test set with the newest checkpoint')
parser.add_device_and_style()


def main(args) -> None:
    from cicam_mm.sweep.finished_run import FinishedRun
    from cicam_mm.sweep.report import build_page
    from cicam_mm.utils.io import write_atomically
    from cicam_mm.visualization import STYLES

    runs = [FinishedRun(folder) for folder in args.work_dirs]
    names = [run.name for run in runs]
    runs = {run.name if names.count(run.name) == 1 else str(run.folder): run for run in runs}
    judged = {name: judge(name, run, args) for name, run in runs.items()}
    page = build_page(runs, judged, STYLES[args.style], args.title, args.trust_configs)
    write_atomically(args.out, page)
    print(f'Wrote {args.out} ({len(page) / 1e6:.1f} MB)')


def judge(name, run, args):
    """The evaluated predictions of a run, or the reason why there are none."""
    from cicam_mm.apis import TestSet
    from cicam_mm.evaluation.saved_predictions import read_index, read_predictions
    from cicam_mm.sweep.report import NEEDS_TRUST, judge_images

    try:
        if run.predictions:
            return judge_images(read_predictions(run.predictions), args.images,
                                read_index(run.predictions)['classes'])
        if args.saved_only:
            return 'no predictions were saved.'
        if run.checkpoint is None:
            return 'there is no checkpoint to predict with.'
        if not args.trust_configs:
            return f'no predictions were saved, and {NEEDS_TRUST}'
        test_set = TestSet(run.config, str(run.checkpoint), args.device)
        indices = range(len(test_set.dataset))
        return judge_images(test_set.predict(indices, name), args.images, test_set.classes)
    except (OSError, ValueError) as error:
        return str(error)


if __name__ == '__main__':
    run(main, parser)
