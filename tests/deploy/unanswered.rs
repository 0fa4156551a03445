//! Purpose: an UpdateService whose answer is never heard: what came of it is asked, and what was begun is taken back.

use super::{deploy, web};
use crate::support::Outcome;
use crate::world::ecs::Script;
use crate::world::{After, Fault, Skin, World};

/// Ends the run once ECS has the update in its hands.
fn ended_at_the_update(world: &World) -> Outcome {
    let mut running = deploy(world).input("image", "acme/web:2").start();
    while !world.calls(Skin::Ecs).iter().any(|call| call == "UpdateService") {
        assert!(!running.has_ended(), "it ended before the update");
        std::thread::yield_now();
    }
    running.signal("TERM");
    let outcome = running.wait();
    outcome.failed(130, "cancelled");
    assert!(outcome.elapsed.as_secs() < 7, "the runner kills soon: {:?}", outcome.elapsed);
    outcome
}

fn update() -> Fault {
    Fault::on(Skin::Ecs).target("UpdateService").nth(1)
}

#[tokio::test]
async fn an_update_that_took_effect_is_taken_back() {
    let world = web().await;
    world.state().ecs.script("web", "acme/web:2", Script::never_stable());
    world.fault(update().hold_answer("never"));
    let outcome = ended_at_the_update(&world);
    assert!(outcome.annotations("error")[0].message.contains("on its way back to web:1"), "{}", outcome.report());
    assert!(outcome.raw.contains("the update of service web was not answered, and took effect"), "{}", outcome.raw);
    assert_eq!(
        world.take_writes()[1..],
        ["ecs UpdateService prod/web web:2", "ecs UpdateService prod/web web:1"],
        "{}",
        outcome.report()
    );
    world.finish();
}

#[tokio::test]
async fn an_update_that_did_not_leaves_the_service_as_it_was() {
    let world = web().await;
    world.fault(update().hold("never"));
    let outcome = ended_at_the_update(&world);
    let message = &outcome.annotations("error")[0].message;
    assert!(message.contains("ECS shows the service as it was"), "{}", outcome.report());
    assert_eq!(world.take_writes(), ["ecs RegisterTaskDefinition web:2"]);
    world.finish();
}

#[tokio::test]
async fn what_nobody_tells_counts_as_done() {
    let world = web().await;
    world.fault(update().hold_answer("never"));
    // Two looks before the update find the service; the third would say what came of it.
    let before = {
        let probe = web().await;
        deploy(&probe).inputs(&[("image", "acme/web:2"), ("wait", "false")]).run().succeeded();
        let calls = probe.calls(Skin::Ecs);
        let update = calls.iter().position(|call| call == "UpdateService").unwrap();
        let looks = calls[..update].iter().filter(|call| *call == "DescribeServices").count();
        probe.explain_writes();
        probe.finish();
        u32::try_from(looks).unwrap()
    };
    world.fault(Fault::on(Skin::Ecs).target("DescribeServices").from(before + 1).hold("never"));
    let outcome = ended_at_the_update(&world);
    assert!(outcome.raw.contains("ECS does not say what came of it"), "{}", outcome.raw);
    assert_eq!(world.take_writes().last().unwrap(), "ecs UpdateService prod/web web:1");
    world.finish();
}

#[tokio::test]
async fn answers_that_never_arrive_do_not_hide_a_deployment() {
    let world = web().await;
    world.state().ecs.script("web", "*", Script::healthy(After::Polls(1)));
    world.fault(Fault::on(Skin::Ecs).target("UpdateService").body_contains("web:2").after_effect().status(503));
    let outcome = deploy(&world).input("image", "acme/web:2").run();
    assert_eq!((outcome.code, outcome.output("status")), (Some(4), "rolled-back"), "{}", outcome.report());
    assert!(outcome.annotations("error")[0].message.contains("web:1 again"), "{}", outcome.report());
    assert_eq!(world.take_writes().last().unwrap(), "ecs UpdateService prod/web web:1");
    world.finish();
}

#[tokio::test]
async fn services_of_a_cluster_are_looked_at_in_one_call() {
    let world = web().await;
    {
        let mut state = world.state();
        let arn = state.ecs.definition("web").unwrap().arn.clone();
        for name in ["worker", "cron"] {
            state.service_of("prod", name, &arn, 1);
        }
        for name in ["web", "worker", "cron"] {
            state.ecs.script(name, "acme/web:2", Script::healthy(After::Polls(4)));
        }
        // The service's own state is then all that can be looked at.
        state.aws.deny("ecs:ListServiceDeployments");
    }
    let outcome = deploy(&world).inputs(&[("service", "web, worker, cron"), ("image", "acme/web:2")]).run();
    outcome.code.filter(|code| *code == 0).unwrap_or_else(|| panic!("{}", outcome.report()));
    let looks: Vec<usize> = world
        .requests(Skin::Ecs)
        .iter()
        .filter(|request| request.call() == "DescribeServices")
        .map(|request| request.json()["services"].as_array().unwrap().len())
        .collect();
    assert!(looks.iter().all(|services| *services == 3), "{looks:?}");
    assert!(looks.len() < 20, "{} looks for what three watches of their own would ask", looks.len());
    world.explain_writes();
    world.finish();
}
