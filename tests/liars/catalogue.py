"""Every strategy there is, and which ones did most harm."""

from __future__ import annotations

from tests.liars.liar import Strategy
from tests.liars.strategies import claims, floods, holders, invented, timed

STRATEGIES: tuple[type[Strategy], ...] = (  # the seeds' worlds are drawn from these
    claims.OthersHaveLeft,
    claims.OthersHaveLeftThisLife,
    claims.RunawayGenerations,
    claims.YouAreDead,
    claims.DownInEachLife,
    claims.DownAboveItsIncarnation,
    claims.SuspectsEverybody,
    claims.SpoilsProofs,
    claims.InventsAccusers,
    claims.RaisesIncarnations,
    claims.SuspectsAtTheLastIncarnation,
    claims.SplitViews,
    claims.VouchesForTheDead,
    claims.RevivesTheDeadInANewLife,
    claims.SpeaksForOthers,
    claims.HearsNothing,
    invented.InventsMembers,
    invented.InventsMembersWithRecords,
    invented.InventsMembersAtHonestAddresses,
    invented.InventsMembersOfOneSubnet,
    invented.FloodsSignatures,
    invented.ForgesRecords,
    invented.ContradictsItself,
    invented.ComesAndGoes,
    invented.KeysThatComeOnce,
    invented.PoisonsTheExchange,
    invented.PoisonsFeeds,
    invented.PoisonsSyncs,
    timed.LiesAtJoins,
    timed.LiesAtRestarts,
    timed.LiesAtPartitions,
    timed.ReplaysOldClaims,
    timed.ReplaysPackets,
    timed.FalseHelpers,
    timed.GuessesAcks,
    floods.FloodsPings,
    floods.FloodsProbes,
    floods.AsksForRecords,
    floods.Crowd,
    floods.CrowdOfManySubnets,
    floods.HalfHandshakes,
    floods.NeverAnswers,
    floods.AnswersWrongly,
    floods.AnswersLate,
    floods.FloodsRequests,
    floods.NewLifeInEachHello,
)

FINDING: tuple[type[Strategy], ...] = (
    holders.DeniesHolders,
    holders.NeverSays,
    holders.NamesWhoHasNothing,
    holders.NamesTheInvented,
    holders.LeadsAstray,
    holders.Eclipses,
    holders.SaysYes,
    holders.SaysYesAndHasNothing,
    holders.SaysYesAndServesRubbish,
    holders.SaysYesFromElsewhere,
    holders.ProvidesAndDenies,
    holders.ProvidesTooMuch,
    holders.FloodsQuestions,
    holders.AsksToBeDialled,
    holders.TakesPlaces,
    holders.RepeatsOthers,
)
"""Those about who has which key, for the worlds of `finding`; the others are for those of `trial`."""

WORST: tuple[type[Strategy], ...] = (
    claims.OthersHaveLeftThisLife,
    claims.DownAboveItsIncarnation,
    claims.VouchesForTheDead,
    claims.HearsNothing,
    invented.InventsMembersWithRecords,
    invented.PoisonsFeeds,
    timed.FalseHelpers,
    floods.Crowd,
    floods.NewLifeInEachHello,
)
"""Those that did most harm when all liars did the same: four of them in a small world."""
