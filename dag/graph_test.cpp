#include "dag/graph.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

namespace nucleus::dag {
namespace {

using Edges = std::vector<std::pair<Node, Node>>;

Graph Make(std::size_t size, const Edges& edges) {
  Graph graph(size);
  for (const auto& [before, after] : edges) graph.AddEdge(before, after);
  return graph;
}

// Edges between 0 .. size-1; forward only where `acyclic`.
Edges AnyEdges(std::size_t size, bool acyclic) {
  const auto end = static_cast<Node>(size);
  auto edges =
      *rc::gen::container<Edges>(rc::gen::pair(rc::gen::inRange<Node>(0, end), rc::gen::inRange<Node>(0, end)));
  if (!acyclic) return edges;
  std::erase_if(edges, [](const auto& edge) { return edge.first == edge.second; });
  for (auto& [before, after] : edges) {
    if (before > after) std::swap(before, after);
  }
  return edges;
}

TEST(Graph, ParallelEdgesCountOnceAndListsAreSorted) {
  const auto graph = Make(4, {{3, 0}, {3, 2}, {3, 1}, {3, 2}});
  EXPECT_EQ(graph.After(3), (std::vector<Node>{0, 1, 2}));
  EXPECT_EQ(graph.Before(2), (std::vector<Node>{3}));
}

TEST(Graph, OrderTakesTheSmallestFreeNodeFirst) {
  EXPECT_EQ(Make(5, {{4, 0}, {0, 1}, {3, 1}}).Order(), (std::vector<Node>{2, 3, 4, 0, 1}));
}

TEST(Graph, CycleIsNamedFromItsSmallestNodeAndShort) {
  EXPECT_EQ(Make(6, {{0, 1}, {1, 2}, {2, 3}, {3, 1}, {3, 4}, {2, 1}, {4, 5}}).Cycle(), (std::vector<Node>{1, 2}));
  EXPECT_EQ(Make(2, {{1, 1}}).Cycle(), (std::vector<Node>{1}));
  EXPECT_TRUE(Make(3, {{0, 1}, {1, 2}, {0, 2}}).Cycle().empty());
  // 2 lies between two cycles, on neither.
  EXPECT_EQ(Make(5, {{3, 4}, {4, 3}, {3, 2}, {2, 1}, {1, 0}, {0, 1}}).Cycle(), (std::vector<Node>{0, 1}));
}

TEST(Graph, ReachIncludesTheStart) {
  const auto graph = Make(5, {{0, 1}, {1, 2}, {3, 2}});
  EXPECT_EQ(graph.Descendants({0, 0}), (std::vector<Node>{0, 1, 2}));
  EXPECT_EQ(graph.Ancestors({2}), (std::vector<Node>{0, 1, 2, 3}));
}

TEST(GraphProperty, AnOrderRespectsEveryEdgeAndNamesEveryNodeOnce) {
  EXPECT_TRUE(rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 30);
    const auto edges = AnyEdges(size, true);
    const auto order = Make(size, edges).Order();
    RC_ASSERT(order.has_value());
    RC_ASSERT(std::set<Node>(order->begin(), order->end()).size() == size);
    std::vector<std::size_t> place(size);
    for (std::size_t i = 0; i < size; ++i) place[(*order)[i]] = i;
    for (const auto& [before, after] : edges) RC_ASSERT(place[before] < place[after]);
  }));
}

TEST(GraphProperty, EitherAnOrderOrACycleWhoseEdgesExist) {
  EXPECT_TRUE(rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 15);
    const auto edges = AnyEdges(size, false);
    const auto graph = Make(size, edges);
    const auto cycle = graph.Cycle();
    RC_ASSERT(graph.Order().has_value() == cycle.empty());
    for (std::size_t i = 0; i < cycle.size(); ++i) {
      const auto& after = graph.After(cycle[i]);
      RC_ASSERT(std::binary_search(after.begin(), after.end(), cycle[(i + 1) % cycle.size()]));
      RC_ASSERT(cycle[0] <= cycle[i]);
    }
    RC_ASSERT(std::set<Node>(cycle.begin(), cycle.end()).size() == cycle.size());
  }));
}

// Runs everything in whatever interleaving, some nodes fail: nothing starts before what it waits for is done, and every
// node is started or given up, exactly once.
TEST(ReadyQueueProperty, StartsEachNodeAfterItsPredecessorsOrGivesItUp) {
  EXPECT_TRUE(rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 25);
    const auto graph = Make(size, AnyEdges(size, true));
    ReadyQueue queue(graph);
    std::set<Node> running, done, failed, lost;
    while (!queue.Exhausted()) {
      if (*rc::gen::arbitrary<bool>() || running.empty()) {
        if (const auto node = queue.Pop()) {
          for (const Node before : graph.Before(*node)) RC_ASSERT(done.contains(before));
          RC_ASSERT(!lost.contains(*node));
          running.insert(*node);
          continue;
        }
      }
      if (running.empty()) continue;
      const Node node = *running.begin();
      running.erase(running.begin());
      if (*rc::gen::weightedElement<bool>({{4, true}, {1, false}})) {
        done.insert(node);
        queue.Done(node);
      } else {
        failed.insert(node);
        for (const Node given_up : queue.Fail(node)) RC_ASSERT(lost.insert(given_up).second);
      }
    }
    RC_ASSERT(done.size() + failed.size() + lost.size() == size);
    for (const Node node : failed) {
      for (const Node after : graph.After(node)) RC_ASSERT(lost.contains(after));
    }
  }));
}

}  // namespace
}  // namespace nucleus::dag
