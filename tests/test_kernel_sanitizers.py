"""Threads of a kernel's block do not disturb each other, and none leaves the arrays it is given:
sanitizers of the compiler watch them on a CPU, a thread there for each thread of a block. No GPU
code runs here.
"""

import functools
import subprocess
import tempfile
from pathlib import Path

import cpu_kernels
import pytest

from minigrad.kernels import Kernels

# small launches of every kernel, in C++; memory is zero where nothing else is said
LAUNCHES = {
    "adam": """
        static REAL x[7], g[7], m[7], v[7];
        static Tensors all = {};
        all.start[1] = 3;
        for (int t = 2; t <= TENSORS; ++t) all.start[t] = 7;
        REAL* of[] = {x, g, m, v};
        for (int role = 0; role < 4; ++role)
            all.at[role][0] = of[role], all.at[role][1] = of[role] + 3;
        launch([] { adam(all, 0.9, 0.1, 0.9, 0.1, 1, 1, 1, 0, 1); });
    """,
    "clip": """
        static REAL x[7];
        static double sums[2], found[2];
        static Tensors all = {};
        for (int t = 1; t <= TENSORS; ++t) all.start[t] = 7;
        all.at[0][0] = x;
        launch([] { add_squares(all, sums); });
        launch([] { finish_norm(2, sums, 0.5, found); });
        launch([] { scale(all, found); });
    """,
    "cross_entropy": """
        static REAL x[5 * 9], dx[5 * 9], one[9] = {1}, loss[5], top[5], sum[5];
        static Long c[5];
        static bool ignored[5];
        launch([] { cross_entropy_forward(5, 9, x, c, ignored, one, one, one, loss, top, sum); });
        launch([] { cross_entropy_backward(5, 9, x, c, ignored, one, one, one, top, sum, x, dx); });
    """,
    "dropout": """
        static REAL y[77];
        launch([] { drop_factors(77, y, 1, 1u << 31, 2); });
    """,
    "embedding": """
        static REAL table[3 * 2], rows[6 * 2];
        static Long ids[6] = {0, 0, 1, 1, 1, 2}, order[6];
        launch([] { embedding_add(6, 2, table, ids, order, rows, 1); });
    """,
    "recurrent": """
        static REAL gates[3 * 20], x[3 * 20], cells[4 * 5], tanhs[3 * 5], states[4 * 5], g[3 * 5];
        static REAL dh[5], p[5], d[20], dc[5], all[3 * 20], b[5];
        static bool idle[3] = {false, true, false};
        for (static int t = 0; t < 3; ++t) {
            launch([] { lstm_forward(5, 1, 3, 3, gates, x, cells, tanhs, states, idle, t); });
            launch([] { gru_forward(5, 1, 3, 3, x, gates, x, b, states, idle, t); });
        }
        for (static int t = 2; t >= 0; --t) {
            launch([] { lstm_backward(5, 1, 3, gates, cells, tanhs, g, dh, p, d, all, dc, 0, t); });
            launch([] { gru_backward(5, 1, 3, gates, states, g, dh, p, d, all, idle, t); });
        }
    """,
    "topk": """
        static REAL x[5 * 9];
        static Long ids[5 * 3];
        launch([] { largest(5, 9, 3, x, ids); });
    """,
}  # fmt: skip
OUTSIDE = [
    ("topk", "v < V", "v <= V"),
    ("embedding", "m < N && ids[m]", "ids[m]"),
    ("recurrent", "(t + 1) % (kept + 1)", "(t + 2)"),
]
text_of = Kernels(None, None).text
LAUNCH = """
#include <thread>
#include <vector>
template <class F> void launch(F kernel) {
    for (unsigned block = 0; block < 2; ++block) {
        meet(4);
        std::vector<std::thread> threads;
        for (unsigned n = 0; n < 4; ++n)
            threads.emplace_back([=] { be(n, 4, block, 2); kernel(); });
        for (auto& one : threads) one.join();
    }
}
"""


def watched(program, folder, kind):
    """What sanitizers say of a program."""
    cpu_kernels.compile_for_cpu(program, folder / "program", f"-fsanitize={kind}")
    done = subprocess.run([folder / "program"], capture_output=True, text=True)
    return done.stderr or ("" if done.returncode == 0 else f"exit status {done.returncode}")


THREAD, ADDRESS = "thread", "address,undefined"
FAULTS = {
    THREAD: "#include <thread>\nint x; int main() { std::thread a([] { ++x; }); ++x; a.join(); }",
    ADDRESS: "int x[3]; int main(int n, char**) { return x[2 + n]; }",
}


@functools.cache
def why_not(kind):
    """None where these sanitizers notice a fault."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = watched(FAULTS[kind], Path(folder), kind)
        except (OSError, TypeError, subprocess.CalledProcessError) as error:
            return f"g++ -fsanitize={kind}: {error}"
    return None if "WARNING" in said or "ERROR" in said else f"{kind} is not noticed: {said[:200]}"


@pytest.fixture
def kind(request):
    if reason := why_not(request.param):
        pytest.skip(reason)
    return request.param


both = pytest.mark.parametrize("kind", [THREAD, ADDRESS], indirect=True)
threads = pytest.mark.parametrize("kind", [THREAD], indirect=True)


def program(texts):
    """Launches of the kernels of several files, each in a namespace of its own."""
    parts = [f"namespace in_{f} {{ {text} void run() {{ {LAUNCHES[f]} }} }}\n" for f, text in texts]
    runs = "".join([f"in_{file}::run();" for file, _ in texts])
    return f"{LAUNCH}{''.join(parts)}int main() {{ {runs} }}\n"


def test_every_kernel_is_launched():
    files = {
        path.stem: path.read_text(encoding="utf-8") for path in cpu_kernels.FOLDER.glob("*.cu")
    }
    for file, text in files.items():
        names = [part.split("(")[0] for part in text.split("KERNEL ")[1:]]
        assert names and all(f" {name}(" in LAUNCHES[file] for name in names)


@both
def test_threads_stay_in_their_places(kind, tmp_path):
    assert watched(program([(file, text_of(file)) for file in LAUNCHES]), tmp_path, kind) == ""


@threads
@pytest.mark.parametrize("nth", range(3))
def test_a_missing_barrier_is_noticed(nth, kind, tmp_path):
    before, *parts = text_of("cross_entropy").split("__syncthreads();")
    assert len(parts) == 3
    gaps = ["" if n == nth else "__syncthreads();" for n in range(3)]
    text = before + "".join([gap + part for gap, part in zip(gaps, parts)])
    assert "data race" in watched(program([("cross_entropy", text)]), tmp_path, kind)


@threads
def test_two_threads_for_one_element_are_noticed(kind, tmp_path):
    text = text_of("adam").replace("place - all.start[t]", "0")
    assert "data race" in watched(program([("adam", text)]), tmp_path, kind)


@pytest.mark.parametrize("kind", [ADDRESS], indirect=True)
@pytest.mark.parametrize("file, old, new", OUTSIDE)
def test_a_step_outside_is_noticed(file, old, new, kind, tmp_path):
    text = text_of(file)
    assert old in text
    assert "ERROR" in watched(program([(file, text.replace(old, new))]), tmp_path, kind)
