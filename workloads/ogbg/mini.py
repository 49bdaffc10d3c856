"""Generated data for ogbg_mini: molecules in the raw tables of OGB, prepared as the real ones.

Nothing is copied from a real molecule. A molecule is a random tree of atoms, within their valences,
with up to two more bonds that close rings. Its labels say which of eight groups of atoms it has
(`GROUPS`); what an atom's or a bond's own numbers tell is not enough for any of them. As in the
real data many labels are missing, and some molecules have none.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pacebench.spec import Report
from workloads.ogbg import raw as tables
from workloads.ogbg.molecules import MINI, SPLITS, MoleculeSet
from workloads.ogbg.prepare import prepare

RAW_FOLDER = "raw_download"
SEED = 23
# OGB's numbers count the elements from 0 at hydrogen.
CARBON, NITROGEN, OXYGEN, SULFUR = 5, 6, 7, 15
ELEMENTS = (CARBON, NITROGEN, OXYGEN, SULFUR)
SHARES = (0.55, 0.17, 0.2, 0.08)
VALENCES = {CARBON: 4, NITROGEN: 3, OXYGEN: 2, SULFUR: 2}
SINGLE, DOUBLE = 0, 1
MIN_ATOMS, MAX_ATOMS = 8, 20
MISSING_SHARE = 0.3
N_WITHOUT_LABELS = 20


@dataclass(kw_only=True, slots=True)
class Molecule:
    """Atoms by element, and bonds by their two atoms."""

    atoms: list[int]
    bonds: dict[tuple[int, int], int] = field(default_factory=dict)
    """SINGLE or DOUBLE."""

    def neighbours(self, atom: int) -> list[tuple[int, int]]:
        """Give (element, bond) of the atoms bound to one."""
        return [
            (self.atoms[b if a == atom else a], bond)
            for (a, b), bond in self.bonds.items()
            if atom in (a, b)
        ]

    def free(self, atom: int) -> int:
        """Count what is left of an atom's valence."""
        return VALENCES[self.atoms[atom]] - sum(1 + bond for _, bond in self.neighbours(atom))


def draw_molecule(rng: np.random.Generator) -> Molecule:
    """Draw a molecule."""
    molecule = Molecule(atoms=[CARBON])
    for _ in range(int(rng.integers(MIN_ATOMS, MAX_ATOMS + 1)) - 1):
        open_atoms = [a for a in range(len(molecule.atoms)) if molecule.free(a) > 0]
        if not open_atoms:
            break
        place = open_atoms[int(rng.integers(len(open_atoms)))]
        molecule.atoms.append(int(rng.choice(ELEMENTS, p=SHARES)))
        new = len(molecule.atoms) - 1
        is_double = min(molecule.free(place), molecule.free(new)) > 1 and rng.random() < 0.3
        molecule.bonds[place, new] = DOUBLE if is_double else SINGLE
    for _ in range(int(rng.integers(0, 3))):
        open_atoms = [a for a in range(len(molecule.atoms)) if molecule.free(a) > 0]
        if len(open_atoms) > 1:
            a, b = sorted(rng.choice(open_atoms, 2, replace=False).tolist())
            molecule.bonds.setdefault((a, b), SINGLE)
    return molecule


def _has_centre(centre: int, *around: tuple[int, int]) -> Callable[[Molecule], bool]:
    """Look for an atom of the element `centre` with all these (element, bond) around it."""

    def is_there(molecule: Molecule) -> bool:
        for atom, element in enumerate(molecule.atoms):
            if element == centre:
                found = molecule.neighbours(atom)
                if all(found.count(one) >= around.count(one) for one in around):
                    return True
        return False

    return is_there


GROUPS: Mapping[str, Callable[[Molecule], bool]] = {
    "acid": _has_centre(CARBON, (OXYGEN, DOUBLE), (OXYGEN, SINGLE)),
    "amide": _has_centre(CARBON, (OXYGEN, DOUBLE), (NITROGEN, SINGLE)),
    "imine": _has_centre(CARBON, (NITROGEN, DOUBLE)),
    "acetal": _has_centre(CARBON, (OXYGEN, SINGLE), (OXYGEN, SINGLE)),
    "aminal": _has_centre(CARBON, (NITROGEN, SINGLE), (NITROGEN, SINGLE)),
    "ether": _has_centre(OXYGEN, (CARBON, SINGLE), (CARBON, SINGLE)),
    "nitroso": _has_centre(NITROGEN, (OXYGEN, SINGLE)),
    "thioether": _has_centre(SULFUR, (CARBON, SINGLE)),
}


def write_mini(data_dir: Path, report: Report) -> None:
    """Write `data_dir`/ogbg_mini, the same every time: the raw tables, and the arrays of them."""
    raw = data_dir / MINI.folder / RAW_FOLDER
    write_raw(raw)
    prepare(MINI, raw, data_dir, report)


def write_raw(raw: Path, molecules: MoleculeSet = MINI) -> None:
    """Write the raw tables in OGB's layout; those that are there and right stay."""
    rng = np.random.default_rng(SEED)
    sizes = [molecules.sizes[split] for split in SPLITS]
    drawn = [draw_molecule(rng) for _ in range(sum(sizes))]
    numbers = np.split(rng.permutation(len(drawn)), np.cumsum(sizes)[:-1])
    contents: dict[str, Iterable[Iterable[object]]] = {
        tables.N_NODES: ([len(m.atoms)] for m in drawn),
        tables.N_EDGES: ([len(m.bonds)] for m in drawn),
        tables.NODES: (_describe(m, atom) for m in drawn for atom in range(len(m.atoms))),
        tables.EDGES: (ends for m in drawn for ends in m.bonds),
        tables.EDGE_FEATURES: ([bond, 0, 0] for m in drawn for bond in m.bonds.values()),
        tables.LABELS: _labels(drawn, rng),
        **{
            tables.SPLIT_TABLES[split]: ([n] for n in np.sort(of_split).tolist())
            for split, of_split in zip(SPLITS, numbers, strict=True)
        },
    }
    for table, rows in contents.items():
        text = "".join(",".join(map(str, row)) + "\n" for row in rows)
        content = gzip.compress(text.encode(), mtime=0)
        path = raw / table
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _describe(molecule: Molecule, atom: int) -> list[int]:
    """Give OGB's nine numbers: element, chirality, degree, charge, hydrogens, radicals,
    hybridisation, aromatic, in a ring. Those that would tell of rings are 0."""
    bonds = molecule.neighbours(atom)
    hybridisation = 1 if any(bond == DOUBLE for _, bond in bonds) else 2
    return [molecule.atoms[atom], 0, len(bonds), 5, molecule.free(atom), 0, hybridisation, 0, 0]


def _labels(drawn: list[Molecule], rng: np.random.Generator) -> list[list[object]]:
    """Give the labels of all molecules, empty where they are missing."""
    is_missing = rng.random((len(drawn), len(GROUPS))) < MISSING_SHARE
    is_missing[rng.choice(len(drawn), N_WITHOUT_LABELS, replace=False)] = True
    return [
        [
            "" if missing else int(is_there(m))
            for missing, is_there in zip(of_m, GROUPS.values(), strict=True)
        ]
        for of_m, m in zip(is_missing.tolist(), drawn, strict=True)
    ]
