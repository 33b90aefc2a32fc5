import NIOCore
import NIOEmbedded
import NetworkAddress
import Testing

@testable import TunnelCore
@testable import TunnelServer

@Suite("The choice among the members of a group")
struct RouteChoiceTests {
    /// Members of different sessions.
    private func members(_ count: Int) throws -> [RouteMember] {
        try (0..<count).map { _ in
            let rig = ServerRig()
            try rig.bind(8_022)
            return try #require(rig.session.ports(rig.session.ports, memberFor: 0))
        }
    }

    private func address(_ number: Int) -> IPAddress? { IPAddress("203.0.113.\(number)") }

    private func choices(_ members: [RouteMember], count: Int = 300) -> [ObjectIdentifier: Int] {
        var counts: [ObjectIdentifier: Int] = [:]
        for number in 0..<count {
            guard let member = RouteChoice.member(of: members, for: address(number % 250 + 1)) else { continue }
            counts[ObjectIdentifier(member), default: 0] += 1
        }
        return counts
    }

    @Test("Each of three equal members is chosen, and the busiest of three is not")
    func lessBusy() throws {
        let members = try members(3)
        #expect(choices(members).count == 3)
        let visitor = RoutedVisitor(description: "203.0.113.9:1", address: address(9), publicAddress: "")
        // The streams exist once the session's event loop runs, which it does not here.
        for _ in 0..<3 { _ = VisitorStream.open(to: members[0], for: visitor, on: members[0].loop) }
        #expect(members[0].load == 3)
        #expect(choices(members)[ObjectIdentifier(members[0])] == nil)
    }

    @Test("An unhealthy member is never chosen, and one without a carrier only if all have none")
    func state() throws {
        let members = try members(3)
        members[0].isUp = false
        members[1].isPaused = true
        #expect(Set(choices(members).keys) == [ObjectIdentifier(members[2])])
        members[2].isPaused = true
        #expect(Set(choices(members).keys) == [ObjectIdentifier(members[1]), ObjectIdentifier(members[2])])
        for member in members { member.isUp = false }
        #expect(choices(members).isEmpty)
    }
}
