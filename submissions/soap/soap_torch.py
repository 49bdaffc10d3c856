"""SOAP (Vyas et al. 2024) with linear warmup and cosine decay, in torch.

For a matrix W with gradient G; Q_L and Q_R hold the eigenvectors of L and R:

    M_t = β1 M_{t-1} + (1 - β1) G_t              G'_t = Q_Lᵀ G_t Q_R,    M'_t = Q_Lᵀ M_t Q_R
    V_t = β2 V_{t-1} + (1 - β2) G'_t²            N'_t = M'_t / (√V_t + ε)
    W_t = W_{t-1} - η_t Q_L N'_t Q_Rᵀ            (both moments' biases corrected as in Adam)
    L_t = β2 L_{t-1} + (1 - β2) G_t G_tᵀ,        R_t = β2 R_{t-1} + (1 - β2) G_tᵀ G_t
    every f steps: Q_L = QR(L_t Q_L), Q_R = QR(R_t Q_R)

pytorch_optimizer's SOAP stands behind it and does what the authors' code does: ε outside of the
root, the first step only makes L and R, decoupled weight decay, vectors as in Adam, tensors of more
axes with one such matrix per axis. Defaults: β2 = 0.95 and f = 10 are the authors', learning rates
and β1 lie around their 3e-3 and 0.95, the schedule is that of `adamw`. Axes longer than
`max_dimension` have no matrix (Q = 1): 512 is ours, so that a CPU can make such steps, where the
authors take 10,000; give a space of your own to raise it.
"""

from pytorch_optimizer import SOAP
from torch.optim.lr_scheduler import LambdaLR

from pacebench.schedules import at, table


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    optimizer = RowMajorSOAP(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.95),
        weight_decay=hparams.weight_decay,
        precondition_frequency=10,
        max_precondition_dim=hparams.max_dimension,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, LambdaLR(optimizer, lambda step: at(factors, step))


class RowMajorSOAP(SOAP):
    """SOAP with bases in row-major order, as a checkpoint gives them back.

    LAPACK's are column-major: the same numbers, but sums over them round otherwise, and a resumed
    trial would leave the path of an uninterrupted one.
    """

    @staticmethod
    def get_orthogonal_matrix(mat):
        """Give the eigenvectors of the matrices; an axis without a matrix has []."""
        return row_major(SOAP.get_orthogonal_matrix(mat))

    def get_orthogonal_matrix_qr(self, state, max_precondition_dim=10000, merge_dims=False):
        """Give the bases after a step of power iteration."""
        return row_major(super().get_orthogonal_matrix_qr(state, max_precondition_dim, merge_dims))


def row_major(bases):
    """Give the same matrices in row-major order; [] stays."""
    return [basis.contiguous() if len(basis) else basis for basis in bases]
