"""Ranks that search theta together."""
import torch
from mmpretrain.registry import MODELS
from rank import small_config

from cicam_mm.engine.threshold_search import search_threshold


def search(work_dir, launcher):
    """All rows, the best one, and that of the config."""
    cfg = small_config(work_dir, **{
        'model.head.localizer.map_rule': dict(_delete_=True, type='topk_mean', k=2),
        'launcher': launcher, 'test_dataloader.dataset.num_images': 5,
        'test_dataloader.batch_size': 2, 'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False})
    checkpoint = work_dir / 'model.pth'
    if not checkpoint.exists():
        torch.save(dict(meta={}, state_dict=MODELS.build(cfg.model).state_dict()), checkpoint)
    found = search_threshold(cfg, str(checkpoint), 'test', map_rules=['top1'], step=.25)
    return found.rows, found.best, found.configured


def test_every_rank_has_what_one_process_finds(run_ranks, tmp_path):
    expected = rows, *_ = search(tmp_path, 'none')
    assert len(rows) == 8 and len({row['gt_known_loc'] for row in rows}) > 1
    assert run_ranks(search, 2, tmp_path, 'pytorch') == [expected, expected]
