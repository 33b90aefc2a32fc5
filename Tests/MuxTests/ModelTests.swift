import NIOCore
import Platform
import Testing

@testable import Mux

/// Random sequences of operations against the model. `CULVERT_MODEL_SEED` runs one seed, `CULVERT_MODEL_ITERATIONS`
/// sets the number of steps of each.
@Suite struct ModelTests {
    private static func environment(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    static var seeds: [UInt64] { environment("CULVERT_MODEL_SEED").map { [$0] } ?? Array(1...8) }
    static var iterations: Int { Int(clamping: environment("CULVERT_MODEL_ITERATIONS") ?? 6_000) }

    @Test(
        "M22 M26 M28 despite lost carriers, bytes arrive once and in order, ends and resets once, and all is freed",
        arguments: seeds
    )
    func model(seed: UInt64) {
        let model = Self.run(Model(seed: seed), seed)
        #expect(model.lateAnswers.resumed > 0, "seed \(seed): an answer arrived late")
    }

    @Test(
        "M22 M26 M28 bytes and ends arrive so over several lanes too, which are cut, stall, begin and are left at any time",
        arguments: seeds
    )
    func lanes(seed: UInt64) {
        let model = Self.run(Model(seed: seed, mostLanes: 4), seed)
        #expect(model.retired > 3, "seed \(seed): lanes were left")
        #expect(model.lateAnswers.new + model.lateAnswers.resumed > 0, "seed \(seed): answers arrived late")
    }

    @discardableResult
    private static func run(_ start: Model, _ seed: UInt64) -> Model {
        var model = start
        for step in 0..<iterations where model.failure == nil {
            model.operate(isEnding: step > iterations * 3 / 4)
        }
        model.settle()
        #expect(model.failure == nil)
        for stream in model.streams.values where model.failure == nil {
            for role in [Role.server, .client] {
                let (end, other) = (stream[role], stream[role.peer])
                let context = "seed \(seed), stream \(stream.id) at \(role)"
                #expect(end.isGone || !end.isKnown, "\(context): the stream ended")
                #expect(!other.hasReset || end.hasReset || end.sawReset || end.wasClosed, "\(context): the reset came")
                if end.wasClosed, !end.sawReset {
                    #expect(end.delivered == other.written, "\(context): no byte is lost before an orderly end")
                }
            }
        }
        #expect(model.cuts >= 3 && model.carriers.count > 5, "seed \(seed): carriers were lost")
        #expect(model.streams.count >= 5 && model.carried > 10_000, "seed \(seed): streams carried bytes")
        #expect(model.tunnels.haveReports, "seed \(seed): reports of services arrived")
        return model
    }
}
