"""Names of torch functions by what they do to weights: make them, carry them on, change them, join them."""

from __future__ import annotations

SOFTMAX = frozenset({"softmax", "_softmax", "special_softmax", "softmin", "gumbel_softmax"})
LOG_SOFTMAX = frozenset({"log_softmax", "special_log_softmax"})
LOG_SUM = frozenset({"logsumexp", "special_logsumexp"})
POSITIVE = frozenset({"exp", "exp_", "exp2", "exp2_", "relu", "relu_", "sigmoid", "sigmoid_", "softplus"}) | {
    "clamp",
    "clamp_",
    "clamp_min",
    "clip",
}
NORMALISES = frozenset({"normalize"})  # as a division by a sum, in one function
MINUS = frozenset({"sub", "sub_", "subtract", "__sub__", "__isub__"})
DIVIDES = frozenset({"div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"})
DROPOUT = frozenset({"dropout", "dropout_", "alpha_dropout"})
MOVES = frozenset(
    {"view", "view_as", "reshape", "transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "squeeze"}
    | {"unsqueeze", "flatten", "unflatten", "__getitem__", "t", "__get__", "unbind", "split", "chunk", "narrow"}
    | {"select", "index_select", "adjoint"}
)
PERMUTES = frozenset({"transpose", "permute", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "__get__", "adjoint"})
REPEATS = frozenset({"expand", "expand_as", "repeat", "broadcast_to"})
KEEPS = frozenset(
    {"to", "type", "type_as", "float", "half", "bfloat16", "double", "contiguous", "clone", "masked_fill"}
    | {"masked_fill_", "nan_to_num", "where"}
)
REPLACES = frozenset({"masked_fill", "nan_to_num", "where"})  # some numbers by others, so that these are the weights
POWERS = frozenset({"pow", "__pow__", "square", "float_power"})
SUMS = MINUS | {"add", "add_", "__add__", "__radd__", "__iadd__"}
MIXES = frozenset({"linear", "conv2d"})  # heads, where the keys stay what they are
JOINS = frozenset({"stack", "cat", "concat", "concatenate"})
CHANGES = POWERS | SUMS | MIXES | JOINS | {"roll", "batch_norm"}
CARRIES = DROPOUT | MOVES | REPEATS | KEEPS
TRANSPOSES = frozenset({"T", "mT", "H", "mH"})
MATRIX_PRODUCTS = frozenset(
    {"matmul", "bmm", "mm", "mv", "__matmul__", "__rmatmul__", "einsum", "baddbmm", "addbmm", "addmm", "dot", "inner"}
    | {"tensordot", "linalg_matmul", "linalg_vecdot", "linalg_multi_dot", "chain_matmul"}
)
PRODUCTS = frozenset({"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"})
