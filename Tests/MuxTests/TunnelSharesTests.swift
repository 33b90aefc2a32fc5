import Testing

@testable import Mux

@Suite("Tunnels share the streams that a session may have")
struct TunnelSharesTests {
    @Test("a single tunnel may use all places, and without tunnels nothing is reserved")
    func alone() {
        for hasTunnel in [false, true] {
            var shares = TunnelShares(total: 5)
            if hasTunnel { shares.add(1) }
            for _ in 0..<5 {
                #expect(shares.hasRoom(for: 1))
                shares.take(1)
            }
            #expect(!shares.hasRoom(for: 1) && shares.taken == 5)
        }
    }

    @Test("only the places reserved for another tunnel stay free", arguments: [5, 16, 10_000])
    func reserve(total: Int) {
        var shares = TunnelShares(total: total)
        shares.add(1)
        shares.add(2)
        let reserve = max(1, total / 8)
        #expect(shares.reserve == reserve)
        while shares.hasRoom(for: 1) { shares.take(1) }
        #expect(shares.taken == total - reserve)
        for _ in 0..<reserve {
            #expect(shares.hasRoom(for: 2))
            shares.take(2)
        }
        #expect(!shares.hasRoom(for: 2) && shares.taken == total)
        shares.giveBack(1)
        #expect(shares.hasRoom(for: 1) && shares.hasRoom(for: 2), "either tunnel may take a place that is not reserved")
        shares.giveBack(2)
        shares.take(1)
        #expect(!shares.hasRoom(for: 1) && shares.hasRoom(for: 2), "the last place is reserved for the second tunnel")
    }

    @Test("a tunnel added while all places are taken gets the next returned place")
    func late() {
        var shares = TunnelShares(total: 4)
        shares.add(1)
        for _ in 0..<4 { shares.take(1) }
        shares.add(2)
        #expect(!shares.hasRoom(for: 2))
        shares.giveBack(1)
        #expect(!shares.hasRoom(for: 1) && shares.hasRoom(for: 2))
        shares.remove(2)
        #expect(shares.hasRoom(for: 1), "a removed tunnel has no reserve")
    }

    @Test("more tunnels than places reserve nothing")
    func crowded() {
        var shares = TunnelShares(total: 3)
        for tunnel in UInt16(0)..<10 { shares.add(tunnel) }
        for tunnel in UInt16(0)..<3 { shares.take(tunnel) }
        #expect(shares.reserve == 0 && !shares.hasRoom(for: 9))
    }

    @Test("after random steps the free reserves equal a count over all tunnels")
    func random() {
        var generator = SplitMix(state: 3)
        var shares = TunnelShares(total: 40)
        var used: [UInt16: Int] = [:]
        var tunnels: Set<UInt16> = []
        for _ in 0..<20_000 {
            let tunnel = UInt16.random(in: 0..<6, using: &generator)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0:
                tunnels.insert(tunnel)
                shares.add(tunnel)
            case 1:
                tunnels.remove(tunnel)
                shares.remove(tunnel)
            case 2..<5:
                if shares.hasRoom(for: tunnel) {
                    shares.take(tunnel)
                    used[tunnel, default: 0] += 1
                }
            default:
                if used[tunnel, default: 0] > 0 {
                    shares.giveBack(tunnel)
                    used[tunnel, default: 0] -= 1
                }
            }
            let taken = used.values.reduce(0, +)
            #expect(shares.taken == taken && taken <= 40)
            for one in UInt16(0)..<6 {
                let kept = tunnels.filter { $0 != one }.reduce(0) { $0 + max(0, shares.reserve - used[$1, default: 0]) }
                let own = tunnels.contains(one) && used[one, default: 0] < shares.reserve
                #expect(shares.hasRoom(for: one) == (taken < 40 && (own || taken + kept < 40)))
            }
        }
    }
}
