"""Attention of segments by a loop over them: what the flash kernels of a GPU compute."""

import torch
from torch import Tensor

from ggsa.model.attention.segments import Segments
from ggsa.model.attention.varlen import Kernel


def _parts(segments: Segments) -> list[tuple[slice, slice]]:
    queries, keys = segments.queries.tolist(), segments.keys.tolist()
    return [(slice(*queries[i : i + 2]), slice(*keys[i : i + 2])) for i in range(len(queries) - 1)]


def _forward(q: Tensor, k: Tensor, v: Tensor, segments: Segments, scaling: float) -> tuple:
    output = torch.zeros_like(q)
    lse = torch.full(q.shape[:2], torch.inf, dtype=q.dtype, device=q.device).mT.contiguous()
    for rows, keys in _parts(segments):
        if keys.start < keys.stop:
            scores = torch.einsum("qhd,khd->hqk", q[rows], k[keys]) * scaling
            output[rows] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v[keys])
            lse[:, rows] = scores.logsumexp(-1)
    return output, lse


def _backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    segments: Segments,
    scaling: float,
    output: Tensor,
    lse: Tensor,
) -> tuple:
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    own = (gradient * output).sum(-1).mT
    for rows, keys in _parts(segments):
        scores = torch.einsum("qhd,khd->hqk", q[rows], k[keys]) * scaling
        weights = torch.exp(scores - lse[:, rows, None])
        of_weights = torch.einsum("qhd,khd->hqk", gradient[rows], v[keys])
        of_scores = weights * (of_weights - own[:, rows, None]) * scaling
        dq[rows] = torch.einsum("hqk,khd->qhd", of_scores, k[keys])
        dk[keys] = torch.einsum("hqk,qhd->khd", of_scores, q[rows])
        dv[keys] = torch.einsum("hqk,qhd->khd", weights, gradient[rows])
    return dq, dk, dv


LOOP = Kernel(_forward, _backward)
