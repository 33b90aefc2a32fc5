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

    @Test("is small for a trial after two handshakes without an answer, and stays small if the trial is answered")
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

    @Test("is full again if the small one is not answered either")
    func givesUp() {
        for _ in 0..<2 { memory.unanswered(at: place, to: .full) }
        #expect(memory.isNewTrial(at: place))
        memory.unanswered(at: place, to: .trial)
        #expect(memory.size(at: place) == .full)
        for _ in 0..<2 { memory.unanswered(at: place, to: .full) }
        #expect(memory.size(at: place) == .trial)
        #expect(!memory.isNewTrial(at: place), "the trial is reported once")
    }

    @Test("stays full after an answer in between, and for other hops")
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

    @Test("is remembered for a limited number of hops, beyond which all are cleared")
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

    @Test("has groups in any spelling of case, and the small hello omits the post-quantum group")
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
