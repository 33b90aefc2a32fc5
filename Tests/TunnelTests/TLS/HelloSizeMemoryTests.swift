import NIOSSL
import ProxyConnect
import Testing

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("The size of a ClientHello")
struct HelloSizeMemoryTests {
    private let memory = HelloSizeMemory()
    private let place: HelloSizeMemory.Place

    init() throws {
        place = HelloSizeMemory.Place(endpoint: try EndpointURL("wss://tunnel.example"), proxy: nil, peer: .server)
    }

    @Test("is small for once after two handshakes without an answer, and for good if that one is answered")
    func keeps() {
        memory.unanswered(at: place, to: .full)
        #expect(memory.size(at: place) == .full)
        memory.unanswered(at: place, to: .full)
        #expect(memory.size(at: place) == .trial)
        #expect(memory.answered(at: place, to: .trial))
        #expect(memory.size(at: place) == .small)
        memory.unanswered(at: place, to: .small)
        #expect(!memory.answered(at: place, to: .small))
        #expect(memory.size(at: place) == .small)
    }

    @Test("is full again where the small one is not answered either")
    func givesUp() {
        for _ in 0..<2 { memory.unanswered(at: place, to: .full) }
        #expect(memory.isNewTrial(at: place))
        memory.unanswered(at: place, to: .trial)
        #expect(memory.size(at: place) == .full)
        for _ in 0..<2 { memory.unanswered(at: place, to: .full) }
        #expect(memory.size(at: place) == .trial)
        #expect(!memory.isNewTrial(at: place), "it is told once")
    }

    @Test("stays full where an answer came in between, and at other places")
    func stays() throws {
        memory.unanswered(at: place, to: .full)
        #expect(!memory.answered(at: place, to: .full))
        memory.unanswered(at: place, to: .full)
        #expect(memory.size(at: place) == .full)
        memory.unanswered(at: place, to: .full)
        let proxy = try ProxyURL("https://proxy.example")
        let other = HelloSizeMemory.Place(endpoint: place.endpoint, proxy: proxy, peer: .server)
        #expect(memory.size(at: other) == .full)
        #expect(memory.size(at: place) == .trial)
    }

    @Test("is remembered for so many places, and past them all begin anew")
    func bounded() throws {
        for port in 1...HelloSizeMemory.maximumPlaces {
            let endpoint = try EndpointURL("wss://tunnel.example:\(port)")
            let place = HelloSizeMemory.Place(endpoint: endpoint, proxy: nil, peer: .server)
            for _ in 0..<2 { memory.unanswered(at: place, to: .full) }
        }
        let first = HelloSizeMemory.Place(
            endpoint: try EndpointURL("wss://tunnel.example:1"),
            proxy: nil,
            peer: .server
        )
        #expect(memory.size(at: first) == .trial)
        memory.unanswered(at: place, to: .full)
        #expect(memory.size(at: first) == .full)
    }

    @Test("groups are read in any case, and the smaller hello has all but the post-quantum one")
    func groups() throws {
        #expect(try TLSGroups("x25519mlkem768, X25519:p-256,secp384r1,P521").curves == TLSConfiguration.tunnelGroups)
        #expect(TLSGroups.smaller(TLSConfiguration.tunnelGroups) == [.x25519, .secp256r1, .secp384r1, .secp521r1])
        #expect(TLSGroups.smaller([.x25519]) == nil)
        #expect(TLSGroups.smaller([.x25519_MLKEM768]) == nil)
        for text in ["", ",", "x25519,", "x448", "p-256,P256", "none"] {
            #expect(throws: TLSGroups.Malformed.self) { try TLSGroups(text) }
        }
    }
}
