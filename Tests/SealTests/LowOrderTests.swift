import ByteText
import Crypto
import Testing

@testable import Seal

/// Points whose shared secret is zero for every private key.
@Suite("Public keys of low order") struct LowOrderTests {
    /// The points of order 1, 2, 4 and 8, and their other encodings (curves of RFC 7748; as listed for X25519 by
    /// Bernstein). The top bit is ignored.
    static let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ]

    /// The first message of a client that has the psk, with any public key in place of an ephemeral one.
    private func first(_ point: [UInt8], _ setup: Setup) throws -> [UInt8] {
        var symmetric = SymmetricState(protocolName: HandshakePattern.nnPSK0.protocolName)
        symmetric.mixHash(setup.prologue)
        symmetric.mixKeyAndHash(setup.psk)
        symmetric.mixHash(point)
        symmetric.mixKey(SymmetricKey(data: point))
        return point + (try symmetric.encryptAndHash([]))
    }

    @Test(
        "a client's ephemeral key of low order is refused: with a static key at once, without one in the answer",
        arguments: points
    )
    func client(point: String) throws {
        let point = try #require(Base16.decoded(point))
        let resume = Setup(resumes: true)
        let server = resume.serving()
        _ = try server.read(first(point, resume))
        #expect(failure { _ = try server.write() } == .lowOrderPoint)
        #expect(failure { try server.split() } == .ended)
        let fresh = Setup().serving()
        #expect(failure { _ = try fresh.read(point + [UInt8](repeating: 0, count: 16)) } == .lowOrderPoint)
    }

    @Test("a server's ephemeral or static key of low order is refused by the client", arguments: points)
    func server(point: String) throws {
        let point = try #require(Base16.decoded(point))
        for setup in [Setup(), Setup(resumes: true)] {
            let client = setup.client()
            _ = try client.write()
            #expect(failure { _ = try client.read(point + [UInt8](repeating: 0, count: 16)) } == .lowOrderPoint)
        }
        var setup = Setup()
        setup.pinned = ServerPublicKey(rawRepresentation: point)
        #expect(failure { _ = try setup.client().write() } == .lowOrderPoint)
    }
}
