#include "spec/core/hash.hpp"

#include <gtest/gtest.h>

namespace nucleus {
namespace {

TEST(Sha256, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(Sha256::Of("").Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256::Of("abc").Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, KeyedIsHmac) {  // RFC 4231, test case 2
  EXPECT_EQ(Sha256::Keyed("Jefe", "what do ya want for nothing?").Hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Sha256, IncrementalEqualsWholeAndStartsAnew) {
  Sha256 hash;
  EXPECT_EQ(hash.Add("a").Add("").Add("bc").Finish(), Sha256::Of("abc"));
  EXPECT_EQ(hash.Add("abc").Finish(), Sha256::Of("abc"));
}

TEST(Sha256, FieldsDoNotRunIntoEachOther) {
  EXPECT_NE(Sha256().AddField("ab").AddField("c").Finish(), Sha256().AddField("a").AddField("bc").Finish());
}

TEST(Digest, ParseUndoesHex) {
  const Digest digest = Sha256::Of("x");
  EXPECT_EQ(*Digest::Parse(digest.Hex()), digest);
  EXPECT_EQ(*Digest::Parse("sha256:" + digest.Hex()), digest);
  EXPECT_EQ(*Digest::Parse("SHA256:" + digest.Hex()), digest);
  std::string upper = digest.Hex();
  for (auto& c : upper) c = static_cast<char>(toupper(c));
  EXPECT_EQ(*Digest::Parse(upper), digest);
  EXPECT_FALSE(Digest::Parse(""));
  EXPECT_FALSE(Digest::Parse(digest.Hex().substr(1)));
  EXPECT_FALSE(Digest::Parse(digest.Hex() + "0"));
  EXPECT_FALSE(Digest::Parse("g" + digest.Hex().substr(1)));
}

}  // namespace
}  // namespace nucleus
