"""Every example of the seed guide, sections 1 to 9, as it prints them.

Changed are the import (`from mistral_agents import MistralAgents as Mistral`) and these names, see docs/seed-guide.md:
library ids are real ones; images come from `conversation.images` instead of `output.type == "image"`; ages are computed
from an aware `datetime`; `archive` takes the folder to archive to. What a model would decide is in the script.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mistral_agents import MistralAgents as Mistral
from mistral_agents import translate_tools
from mistral_agents.conversation import Conversation
from mistral_agents.errors import RateLimitedError
from mistral_agents.files import ImageSizeWarning
from mistral_agents.tools import MissingLibraryError, TranslationWarning
from mistral_agents_server.settings import Quota
from tests.support.scripted import ScriptedModel, call, calls, say

from .conftest import Guide

FIBONACCI = """import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
fib = [0, 1]
while len(fib) < 10:
    fib.append(fib[-1] + fib[-2])
print(fib)
plt.plot(fib)
plt.savefig("fibonacci.png")
"""


# 1. Python code execution -------------------------------------------------------------------------------------------


def code_agent() -> tuple[Any, Any]:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])

    # Create agent with code execution
    agent = client.beta.agents.create(
        model="mistral-medium-latest",
        name="Code Execution Agent",
        description="Agent capable of writing and executing Python code",
        instructions=(
            "You are a Python programming assistant. "
            "When asked to perform calculations or data analysis, "
            "write and execute Python code to provide accurate results. "
            "Always explain your code and results."
        ),
        tools=[
            {
                "type": "code_interpreter",
                "config": {
                    "timeout": 30,  # Maximum execution time in seconds
                    "max_iterations": 5,  # Maximum retry attempts
                },
            }
        ],
    )
    return client, agent


def test_1_the_agent_that_is_created(guide: Guide) -> None:
    _, agent = code_agent()
    assert guide.agent["tools"] == [{"type": "code_interpreter"}]
    assert guide.agent["model"] == "mistral-medium-latest"
    assert guide.agent["instructions"].startswith("You are a Python programming assistant. ")
    assert guide.agent["instructions"].endswith("\n\nRun code at most 5 times in one answer.")
    assert agent.tools[0]["type"] == "code_interpreter"


def test_1_1_fibonacci_with_a_plot(
    guide: Guide, scripted: ScriptedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, agent = code_agent()
    scripted.script(call("code_interpreter", {"code": FIBONACCI}), say("Here are the first ten."))

    # Start conversation with code execution request
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="Calculate the first 10 Fibonacci numbers and plot them",
    )

    print(conversation.outputs[-1].content)

    assert "Here are the first ten." in capsys.readouterr().out
    [run] = conversation.code_runs
    assert run.output == "[0, 1, 1, 2, 3, 5, 8, 13, 21, 34]\n"
    [plot] = client.files.save(conversation, tmp_path)
    assert plot.suffix == ".png"
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert guide.bodies("/v1/conversations")[-1]["agent_id"] == agent.id


def test_1_2_data_analysis(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = code_agent()
    code = "import statistics as s\nv=[120,135,148,162,155,170,188,195,210,225]\nprint(s.mean(v), s.median(v), round(s.stdev(v),2))"
    scripted.script(call("code_interpreter", {"code": code}), say("Sales rise steadily."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Analyze this sales data and provide insights:
        Sales = [120, 135, 148, 162, 155, 170, 188, 195, 210, 225]
        Calculate mean, median, standard deviation, and trend.
        """,
    )

    print(conversation.outputs[-1].content)

    assert conversation.code_runs[0].output == "170.8 166.0 33.44\n"
    assert conversation.usage.connectors == {"code_interpreter": 1}


def test_1_3_file_processing(guide: Guide, scripted: ScriptedModel, tmp_path: Path) -> None:
    client, agent = code_agent()
    code = "import random, csv\nrandom.seed(1)\nv=[random.gauss(0,1) for _ in range(1000)]\nf=open('results.csv','w')\ncsv.writer(f).writerows([x] for x in v)\nf.close()\nprint(len(v))"
    scripted.script(call("code_interpreter", {"code": code}), say("Saved."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Write code to:
        1. Generate 1000 random numbers from normal distribution
        2. Calculate statistical properties
        3. Create histogram
        4. Save results to CSV format
        """,
    )

    print(conversation.outputs[-1].content)

    [path] = client.files.save(conversation, tmp_path)
    assert path.name == "results.csv"
    assert len(path.read_text().splitlines()) == 1000


def test_1_custom_packages_and_errors(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = code_agent()
    code = "import pandas as pd\nd=pd.DataFrame({'name':list('abcde'),'age':[30,30,40,40,50],'salary':[1,3,2,4,5]})\nprint(d.groupby('age').salary.mean().to_dict())"
    scripted.script(call("code_interpreter", {"code": code}), say("By age."))
    # Agent can use common data science packages
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Use pandas to:
        1. Create a DataFrame with columns: name, age, salary
        2. Add 5 sample records
        3. Calculate salary statistics by age group
        4. Show pivot table
        """,
    )
    assert conversation.code_runs[0].output == "{30: 2.0, 40: 3.0, 50: 5.0}\n"

    scripted.script(
        call("code_interpreter", {"code": "import math\nprint(math.sqrt(-1))"}),
        call("code_interpreter", {"code": "import cmath\nprint(cmath.sqrt(-1))"}),
        say("There is no real root; the complex one is 1j."),
    )
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="Calculate the square root of -1 using real numbers",
    )
    failed, corrected = conversation.code_runs
    assert "ValueError" in str(failed.error or failed.output)
    assert corrected.output == "1j\n"


# 2. Image generation ------------------------------------------------------------------------------------------------


def image_agent() -> tuple[Any, Any]:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    agent = client.beta.agents.create(
        model="mistral-medium-latest",
        name="Image Generator Agent",
        description="Agent that can generate high-quality images",
        instructions=(
            "You are a creative image generation assistant. "
            "Help users create detailed, high-quality images based on their descriptions. "
            "Ask clarifying questions about style, composition, and details when needed. "
            "Generate images that match user requirements precisely."
        ),
        tools=[
            {
                "type": "image_generation",
                "config": {"model": "flux-1.1-pro-ultra", "default_size": "1024x1024", "quality": "high"},
            }
        ],
    )
    return client, agent


def test_2_the_agent_that_is_created(guide: Guide) -> None:
    with pytest.warns(TranslationWarning) as caught:
        image_agent()
    said = " ".join(str(warning.message) for warning in caught)
    assert "model='flux-1.1-pro-ultra' is impossible" in said
    assert "default_size='1024x1024' is hinted" in said
    assert "quality='high' is hinted" in said
    assert guide.agent["tools"] == [{"type": "image_generation"}]
    assert "1024x1024" in guide.agent["instructions"]


def test_2_1_basic_image_generation(guide: Guide, scripted: ScriptedModel, tmp_path: Path) -> None:
    client, agent = image_agent()
    scripted.script(call("generate_image", {"prompt": "A serene Japanese garden"}), say("Here it is."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="Generate an image of a serene Japanese garden at sunset with cherry blossoms",
    )

    # Access generated image
    for output in conversation.outputs:
        assert output.type != "image", "the guide's test is never true: the service has no such entry"
    for image in conversation.images:
        image_url = client.files.signed_url(image.file_id)
        print(f"Generated image: {image_url}")

    assert len(conversation.images) == 1
    assert image_url.startswith("http")
    with pytest.warns(ImageSizeWarning, match="1024x1024 were asked for"):
        [path] = client.files.save(conversation, tmp_path)
    assert path.suffix == ".jpg", "the bytes decide, not the type that is declared"


def test_2_2_iterative_refinement(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = image_agent()
    steps = [(call("generate_image", {"prompt": text}), say("Done.")) for text in ("one", "two", "three")]
    scripted.script(*[step for pair in steps for step in pair])
    # Initial generation
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="Create a professional headshot of a female CEO",
    )
    first = conversation.id

    # Refine based on feedback
    conversation = client.beta.conversations.append(
        conversation_id=conversation.id,
        inputs="Make the background more neutral and add professional lighting",
    )

    # Further refinement
    conversation = client.beta.conversations.append(
        conversation_id=conversation.id,
        inputs="Add a subtle smile and corporate attire",
    )

    assert conversation.id == first
    assert len(conversation.images) == 1
    said = [m["content"] for m in scripted.requests[-1]["messages"] if m["role"] == "user"]
    assert len(said) == 3


def test_2_3_style_several_images_and_the_prompt_used(guide: Guide, scripted: ScriptedModel, tmp_path: Path) -> None:
    client, agent = image_agent()
    scripted.script(call("generate_image", {"prompt": "Futuristic city skyline"}), say("Done."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Generate an image with these specifications:
        - Subject: Futuristic city skyline
        - Style: Cyberpunk aesthetic
        - Mood: Neon-lit, rainy night
        - Color palette: Purples, blues, and neon pinks
        - Composition: Wide angle, street-level perspective
        """,
    )
    assert len(conversation.images) == 1

    scripted.script(calls(*(call("generate_image", {"prompt": f"logo {n}"}) for n in range(3))), say("Three logos."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Generate 3 variations of a logo design:
        1. Modern minimalist with geometric shapes
        2. Organic flowing design
        3. Bold angular design
        All using blue and silver color scheme
        """,
    )
    with pytest.warns(ImageSizeWarning):
        paths = client.files.save(conversation, tmp_path)
    assert len({path.name for path in paths}) == 3

    better = "A photorealistic portrait of a domestic cat with detailed fur texture"
    scripted.script(call("generate_image", {"prompt": better}), say("A cat."))
    conversation = client.beta.conversations.start(agent_id=agent.id, inputs="A cat")
    assert conversation.tool_executions[0].args == {"prompt": better}


# 3. Web search ------------------------------------------------------------------------------------------------------


def search_agent() -> tuple[Any, Any]:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    agent = client.beta.agents.create(
        model="mistral-medium-latest",
        name="Research Assistant",
        description="Agent with web search capabilities",
        instructions=(
            "You are a thorough research assistant. "
            "Use web search to find current, accurate information. "
            "Always cite your sources with URLs. "
            "Prioritize authoritative sources (AFP, AP) when available. "
            "Verify information across multiple sources when possible."
        ),
        tools=[
            {
                "type": "web_search",
                "config": {
                    "enable_premium_sources": True,  # Enable AFP, AP
                    "max_results": 10,
                    "recency_bias": True,  # Prioritize recent results
                },
            }
        ],
    )
    return client, agent


def test_3_the_agent_that_is_created(guide: Guide) -> None:
    with pytest.warns(TranslationWarning, match="recency_bias=True is hinted"):
        search_agent()
    assert guide.agent["tools"] == [{"type": "web_search_premium"}]
    assert "Prefer recent web sources" in guide.agent["instructions"]


@pytest.mark.parametrize(
    "question",
    [
        "What are the latest developments in renewable energy technology in 2025?",
        "Verify this claim: 'Solar panels are now cheaper than fossil fuels in most markets'",
        """
        Compare the features, pricing, and user reviews of:
        - iPhone 16
        - Samsung Galaxy S25
        - Google Pixel 10

        Provide a comparison table
        """,
    ],
)
def test_3_1_to_3_3_questions_are_answered_with_sources(guide: Guide, scripted: ScriptedModel, question: str) -> None:
    client, agent = search_agent()
    scripted.script(call("web_search", {"query": "solar panels cheaper renewable energy"}), say("Solar is cheaper."))
    conversation = client.beta.conversations.start(agent_id=agent.id, inputs=question)
    [search] = conversation.searches
    assert (search.origin, search.query) == ("web", "solar panels cheaper renewable energy")
    assert search.hits[0].title == "Renewable energy trends 2025"
    assert conversation.citations[0].origin == "web"
    assert conversation.citations[0].url == search.hits[0].url
    assert "[1] Renewable energy trends 2025 (web" in conversation.footnotes()
    assert len(conversation.citations) <= 10


def test_3_several_searches(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = search_agent()
    queries = ["inflation rates", "central bank policy", "economic forecasts Q3 2025"]
    scripted.script(calls(*(call("web_search", {"query": query}) for query in queries)), say("An overview."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Research the following topics:
        1. Current inflation rates globally
        2. Central bank policy responses
        3. Economic forecasts for Q3 2025

        Provide a comprehensive economic overview
        """,
    )
    assert [search.query for search in conversation.searches] == queries


def test_3_premium_sources_preferred(guide: Guide) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    # Configure agent to prefer premium sources
    with pytest.warns(TranslationWarning, match="prefer_premium=True is hinted"):
        client.beta.agents.create(
            model="mistral-medium-latest",
            name="News Analyst",
            instructions=(
                "You are a news analyst. "
                "Prioritize information from AFP and Associated Press. "
                "Only use other sources if premium sources lack coverage. "
                "Always indicate source tier (premium vs. standard)."
            ),
            tools=[{"type": "web_search", "config": {"enable_premium_sources": True, "prefer_premium": True}}],
        )
    assert guide.agent["tools"] == [{"type": "web_search_premium"}]
    assert "Prefer news agencies" in guide.agent["instructions"]


# 4. Document library ------------------------------------------------------------------------------------------------


def library_agent(guide: Guide) -> tuple[Any, Any]:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    # Create agent with document library access
    agent = client.beta.agents.create(
        model="mistral-large-latest",  # Better for complex RAG
        name="Document Q&A Agent",
        description="Agent that answers questions from document library",
        instructions=(
            "You are a knowledgeable assistant with access to a document library. "
            "When answering questions, search the library for relevant information. "
            "Always cite the specific documents you reference. "
            "If information isn't in the library, clearly state this. "
            "Provide page numbers or section references when possible."
        ),
        tools=[
            {
                "type": "document_retrieval",
                "config": {"library_id": guide.library_id, "max_documents": 5, "similarity_threshold": 0.7},
            }
        ],
    )
    return client, agent


def test_4_the_agent_that_is_created(guide: Guide) -> None:
    with pytest.warns(TranslationWarning) as caught:
        library_agent(guide)
    said = " ".join(str(warning.message) for warning in caught)
    assert "max_documents=5 is hinted" in said
    assert "similarity_threshold=0.7 is hinted" in said
    assert guide.agent["tools"] == [{"type": "document_library", "library_ids": [guide.library_id]}]


@pytest.mark.parametrize(
    ("question", "query", "name"),
    [
        (
            "What is our company's vacation policy for remote employees?",
            "vacation policy remote employees",
            "Vacation Policy.md",
        ),
        (
            "How do I configure SSL/TLS for the API Gateway according to our docs?",
            "configure TLS API Gateway",
            "Gateway.md",
        ),
    ],
)
def test_4_1_and_4_2_questions_about_documents(
    guide: Guide, scripted: ScriptedModel, question: str, query: str, name: str
) -> None:
    client, agent = library_agent(guide)
    scripted.script(call("library_search", {"query": query}), say("As the document says."))
    conversation = client.beta.conversations.start(agent_id=agent.id, inputs=question)
    source = conversation.citations[0]
    assert (source.origin, source.title, source.document_id) == ("library", name, guide.documents[name])
    assert source.library_id == guide.library_id
    assert len(conversation.citations) <= 5


def test_4_3_several_documents(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = library_agent(guide)
    scripted.script(
        call("library_search", {"query": "security recommendations rotate keys"}), say("90 days against 30.")
    )
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Compare the security recommendations across:
        - Security Best Practices 2024.pdf
        - Cloud Infrastructure Guide.pdf
        - Compliance Handbook.pdf

        Identify any conflicts or gaps
        """,
    )
    titles = {citation.title for citation in conversation.citations}
    assert {"Security Best Practices 2024.txt", "Cloud Infrastructure Guide.txt", "Compliance Handbook.txt"} <= titles


def test_4_a_document_is_found_once_it_is_processed(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = library_agent(guide)
    upload = client.libraries.upload(
        guide.library_id, ("Roadmap.md", b"# Product roadmap\n\nThe roadmap adds a mobile app.")
    )
    client.libraries.wait_until_ready(guide.library_id, [upload.id])
    scripted.script(call("library_search", {"query": "product roadmap updates"}), say("A mobile app."))
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="What are the updates in the latest product roadmap?",
    )
    assert conversation.citations[0].document_id == upload.id


def test_4_hybrid_search(guide: Guide, scripted: ScriptedModel) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    agent = client.beta.agents.create(
        model="mistral-large-latest",
        name="Hybrid Research Agent",
        instructions=(
            "You answer questions using both our document library and web search. "
            "First check the document library. "
            "If insufficient information, supplement with web search. "
            "Clearly distinguish between internal and external sources."
        ),
        tools=[
            {"type": "document_retrieval", "config": {"library_id": guide.library_id}},
            {"type": "web_search", "config": {"enable_premium_sources": True}},
        ],
    )
    scripted.script(
        call("library_search", {"query": "authentication system"}),
        call("web_search", {"query": "industry standards authentication"}),
        say("Ours uses passwords, the industry passkeys."),
    )
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="How does our authentication system compare to industry standards?",
    )
    assert {citation.origin for citation in conversation.citations} == {"library", "web"}
    assert guide.agent["tools"] == [
        {"type": "document_library", "library_ids": [guide.library_id]},
        {"type": "web_search_premium"},
    ]


# 5. Persistent memory -----------------------------------------------------------------------------------------------


def memory_agent() -> tuple[Any, Any]:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    # Persistent memory is built into the Conversations API
    # No explicit tool configuration needed - it's always active
    agent = client.beta.agents.create(
        model="mistral-medium-latest",
        name="Personal Assistant",
        description="Agent with perfect memory of all interactions",
        instructions=(
            "You are a personal assistant with perfect memory. "
            "Remember all previous conversations with this user. "
            "Reference past interactions when relevant. "
            "Track user preferences, projects, and ongoing tasks. "
            "Maintain continuity across all conversations."
        ),
    )
    return client, agent


def heard(scripted: ScriptedModel) -> list[str]:
    """What the user had said, as far as the model was told in its last request."""
    return [message["content"] for message in scripted.requests[-1]["messages"] if message["role"] == "user"]


def test_5_1_several_sessions(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = memory_agent()
    scripted.always(say("Noted."))
    # Session 1: Initial conversation
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="I'm working on a machine learning project to predict customer churn",
    )

    conversation_id = conversation.id
    print(f"Save this ID: {conversation_id}")

    # --- Hours or days later ---
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])

    # Session 2: Resume conversation
    conversation = client.beta.conversations.append(
        conversation_id=conversation_id,
        inputs="I've finished the data preprocessing. What should I do next?",
    )
    assert heard(scripted)[0] == "I'm working on a machine learning project to predict customer churn"
    assert conversation.id == conversation_id


def test_5_2_a_long_project_and_5_3_preferences(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = memory_agent()
    scripted.always(say("Noted."))
    # Week 1
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="Starting a 6-month product development project. Phase 1: Requirements gathering",
    )
    # Week 2
    client.beta.conversations.append(
        conversation_id=conversation.id, inputs="Completed requirements. Moving to design phase"
    )
    # Week 4
    client.beta.conversations.append(conversation_id=conversation.id, inputs="Design approved. Starting implementation")
    # Month 3
    client.beta.conversations.append(
        conversation_id=conversation.id, inputs="What were our original requirements from week 1?"
    )
    assert len(heard(scripted)) == 4
    assert heard(scripted)[0].endswith("Phase 1: Requirements gathering")

    # Conversation 1
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="I prefer Python over JavaScript for backend development",
    )
    # Conversation 2 (same conversation_id)
    client.beta.conversations.append(
        conversation_id=conversation.id,
        inputs="I need to build a new API. What language should I use?",
    )
    assert heard(scripted)[0] == "I prefer Python over JavaScript for backend development"
    # a new conversation remembers nothing: the service has no memory across conversations
    client.beta.conversations.start(agent_id=agent.id, inputs="What do I prefer?")
    assert heard(scripted) == ["What do I prefer?"]


def test_5_branching(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = memory_agent()
    scripted.always(say("It depends."))
    # Original conversation
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="Should I use SQL or NoSQL for this e-commerce app?",
    )

    # Get conversation history
    history = client.beta.conversations.get_history(conversation_id=conversation.id)

    # Create branch to explore SQL path
    sql_branch = client.beta.conversations.restart(
        conversation_id=conversation.id,
        from_entry_id=history.entries[0].id,
        inputs="Let's explore the SQL option in detail",
    )

    # Create another branch for NoSQL path
    nosql_branch = client.beta.conversations.restart(
        conversation_id=conversation.id,
        from_entry_id=history.entries[0].id,
        inputs="Let's explore the NoSQL option in detail",
    )

    # Compare both paths
    assert len({conversation.id, sql_branch.id, nosql_branch.id}) == 3
    assert heard(scripted) == [
        "Should I use SQL or NoSQL for this e-commerce app?",
        "Let's explore the NoSQL option in detail",
    ]
    # as printed, the first answer is dropped (entry 0 is the user's); `branch` keeps it
    assert len(client.conversations.get_history(sql_branch.id).entries) == 3
    kept = Conversation(client, conversation.id).branch()
    kept.append("Let's explore the SQL option in detail")
    assert [entry.role for entry in kept.history().entries] == ["user", "assistant", "user", "assistant"]


def test_5_history_analysis(guide: Guide, scripted: ScriptedModel, capsys: pytest.CaptureFixture[str]) -> None:
    client, agent = code_agent()
    scripted.script(call("code_interpreter", {"code": "print(1)"}), say("One."))
    conversation = client.beta.conversations.start(agent_id=agent.id, inputs="Print one")
    # Retrieve full conversation history
    history = client.beta.conversations.get_history(conversation_id=conversation.id)

    print(f"Total entries: {len(history.entries)}")
    print(f"Total messages: {len([e for e in history.entries if e.type == 'message'])}")
    print(f"Tool executions: {len([e for e in history.entries if e.type == 'tool'])}")

    # Analyze conversation
    for entry in history.entries:
        print(f"{entry.created_at}: {entry.type} - {entry.role}")

    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Total entries: 3"
    # as printed both count nothing: the service's words are message.input, message.output and tool.execution
    assert said[1:3] == ["Total messages: 0", "Tool executions: 0"]
    stats = history.stats()
    assert (stats.messages, stats.tool_executions) == (2, 1)
    assert [line.rpartition(" - ")[2] for line in said[3:]] == ["user", "None", "assistant"]


def test_5_the_tutor(guide: Guide, scripted: ScriptedModel) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    agent = client.beta.agents.create(
        model="mistral-medium-latest",
        name="Personalized Tutor",
        instructions=(
            "You are a personalized tutor. "
            "Track the student's learning progress, strengths, and weaknesses. "
            "Adapt difficulty based on past performance. "
            "Remember which topics have been covered. "
            "Personalize explanations to their learning style."
        ),
    )
    # Over multiple sessions, agent learns and adapts to student
    scripted.always(say("Good."))
    tutor = Conversation(client, agent_id=agent.id)
    tutor.append("I find fractions hard.")
    Conversation(client, tutor.id).append("What should I practise?")
    assert heard(scripted) == ["I find fractions hard.", "What should I practise?"]
    assert scripted.requests[-1]["messages"][0]["content"].startswith("You are a personalized tutor.")


# 6. Connector best practices ----------------------------------------------------------------------------------------


def test_6_1_combining_connectors(guide: Guide) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    # Powerful agent with all connectors
    client.beta.agents.create(
        model="mistral-large-latest",
        name="Full-Featured Agent",
        instructions=(
            "You are a comprehensive AI assistant with multiple capabilities: "
            "1. Execute Python code for calculations and analysis "
            "2. Generate images when visual content is needed "
            "3. Search the web for current information "
            "4. Retrieve information from our document library "
            "5. Remember all previous conversations "
            "Choose the appropriate tool(s) for each task. "
            "Combine tools when beneficial (e.g., web search + code for data analysis)."
        ),
        tools=[
            {"type": "code_interpreter"},
            {"type": "image_generation"},
            {"type": "web_search", "config": {"enable_premium_sources": True}},
            {"type": "document_retrieval", "config": {"library_id": guide.library_id}},
        ],
    )
    assert [tool["type"] for tool in guide.agent["tools"]] == [
        "code_interpreter",
        "image_generation",
        "web_search_premium",
        "document_library",
    ]
    assert "metadata" not in guide.agent, "nothing to enforce"


def test_6_4_performance_without_a_library_is_refused_by_name(guide: Guide) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    tools = [
        {"type": "code_interpreter", "config": {"timeout": 15, "max_iterations": 3}},
        {"type": "web_search", "config": {"max_results": 5, "recency_bias": True}},
        {"type": "document_retrieval", "config": {"max_documents": 3, "similarity_threshold": 0.75}},
    ]
    with pytest.raises(MissingLibraryError, match="document_retrieval names no library"):
        client.beta.agents.create(model="mistral-medium-latest", name="Optimized Agent", tools=tools)
    assert guide.bodies("/v1/agents") == []
    tools[2]["config"]["library_id"] = guide.library_id  # type: ignore[index]
    agent = client.beta.agents.create(model="mistral-medium-latest", name="Optimized Agent", tools=tools)
    policy = client._planner.book.of_agent(agent.id)
    assert (policy.tool_seconds, policy.tool_runs) == ({"code_interpreter": 15}, {"code_interpreter": 3})
    assert (policy.max_citations, policy.max_documents, policy.similarity_threshold) == (5, 3, 0.75)


# 7. Security --------------------------------------------------------------------------------------------------------


def test_7_3_library_access(guide: Guide) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    # Create agent with specific library access
    client.beta.agents.create(
        model="mistral-medium-latest",
        name="Restricted Doc Agent",
        tools=[
            {
                "type": "document_retrieval",
                "config": {
                    "library_id": guide.library_id,  # Restricted library
                },
            }
        ],
    )
    assert guide.agent["tools"] == [{"type": "document_library", "library_ids": [guide.library_id]}]


def test_7_4_cleanup(guide: Guide, scripted: ScriptedModel, tmp_path: Path) -> None:
    # For sensitive conversations, implement cleanup
    def cleanup_old_conversations(client: Any, agent_id: str, days_old: int = 90) -> None:
        """Archive conversations older than specified days"""
        conversations = client.beta.conversations.list(agent_id=agent_id)

        for conv in conversations:
            age_days = (datetime.now(timezone.utc) - conv.created_at).days
            if age_days > days_old:
                # Archive or delete
                client.beta.conversations.archive(conversation_id=conv.id, archive_to=tmp_path)

    client, agent = memory_agent()
    scripted.always(say("ok"))
    ours = client.conversations.start(agent_id=agent.id, inputs="hello")
    other = client.conversations.start(model="mistral-small-latest", inputs="hello")
    cleanup_old_conversations(client, agent.id)
    assert list(tmp_path.iterdir()) == [], "nothing is old enough"
    cleanup_old_conversations(client, agent.id, days_old=-1)
    assert [path.name for path in tmp_path.iterdir()] == [f"{ours.id}.json"]
    assert [conv.id for conv in client.conversations.list()] == [other.id]


# 8. Performance -----------------------------------------------------------------------------------------------------


def test_8_2_several_tools_in_one_turn_and_their_overlap(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = all_connectors(guide)
    scripted.script(
        calls(call("web_search", {"query": "stock market"}), call("library_search", {"query": "Q4 financial report"})),
        call("code_interpreter", {"code": FIBONACCI}),
        say("An analysis."),
    )
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        Perform these tasks:
        1. Search web for current stock market trends
        2. Retrieve our Q4 financial report from docs
        3. Generate chart visualization

        Then combine all information into analysis
        """,
    )
    assert [run.function for run in conversation.tool_executions] == [
        "web_search",
        "library_search",
        "code_interpreter",
    ]
    told = conversation.explain()
    spans = [(t.started, t.ended) for t in conversation.timings if t.what != "message.output" and t.ended is not None]
    assert len(spans) == 3
    shared = (min(end for _, end in spans[:2]) - max(start for start, _ in spans[:2])).total_seconds()
    assert told.overlap == pytest.approx(max(0.0, shared)), "by the timestamps, whether they overlapped or not"
    assert conversation.files


def test_8_3_a_second_turn_reuses_the_first_ones_results(guide: Guide, scripted: ScriptedModel) -> None:
    client, agent = search_agent()
    scripted.script(call("web_search", {"query": "AI trends"}), say("Found."), say("Focus on solar."))
    # Leverage conversation memory as cache
    conversation = client.beta.conversations.start(agent_id=agent.id, inputs="Search for latest AI trends")

    # Later in same conversation
    conversation = client.beta.conversations.append(
        conversation_id=conversation.id,
        inputs="Based on those trends you found, what should we focus on?",
    )
    assert conversation.searches == []
    assert conversation.usage.connectors == {}
    assert any(message["role"] == "tool" for message in scripted.requests[-1]["messages"]), (
        "the results are in the history"
    )


def test_8_4_models_for_connectors(guide: Guide) -> None:
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    # For code-heavy tasks: mistral-large-latest (better reasoning)
    code_agent = client.beta.agents.create(
        model="mistral-large-latest", name="Code Expert", tools=[{"type": "code_interpreter"}]
    )
    # For search-heavy tasks: mistral-medium-latest (faster, good enough)
    search_agent = client.beta.agents.create(
        model="mistral-medium-latest", name="Research Assistant", tools=[{"type": "web_search"}]
    )
    assert [code_agent.model, search_agent.model] == ["mistral-large-latest", "mistral-medium-latest"]
    # For RAG: mistral-large-latest (better comprehension)
    with pytest.raises(MissingLibraryError):
        client.beta.agents.create(
            model="mistral-large-latest", name="Doc Expert", tools=[{"type": "document_retrieval"}]
        )


# 9. Complete example ------------------------------------------------------------------------------------------------


def create_comprehensive_agent() -> tuple[Any, Any]:
    """Create agent with all connectors for maximum capability"""

    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])

    agent = client.beta.agents.create(
        model="mistral-large-latest",
        name="Comprehensive Research & Analysis Agent",
        description="Full-featured agent with all connectors",
        instructions="""
        You are a comprehensive AI assistant with five powerful capabilities:

        1. **Python Code Execution**: Use for calculations, data analysis, visualizations
        2. **Image Generation**: Create high-quality images using FLUX1.1 [pro] Ultra
        3. **Web Search**: Access current information (prefer premium sources: AFP, AP)
        4. **Document Library**: Retrieve company-specific information from our docs
        5. **Persistent Memory**: Perfect recall of all conversations

        **Tool Selection Strategy:**
        - Check document library FIRST for company/internal info
        - Use web search for current events, recent data, general knowledge
        - Execute code for anything numerical, analytical, or computational
        - Generate images when visual representation enhances understanding
        - Always reference conversation history for context

        **Best Practices:**
        - Cite all sources (web and docs)
        - Explain your code before executing
        - Combine tools when beneficial
        - Acknowledge limitations when information unavailable
        - Maintain conversation continuity

        Be helpful, accurate, and comprehensive in all responses.
        """,
        tools=[
            {"type": "code_interpreter", "config": {"timeout": 30, "max_iterations": 5}},
            {"type": "image_generation", "config": {"model": "flux-1.1-pro-ultra", "default_size": "1024x1024"}},
            {"type": "web_search", "config": {"enable_premium_sources": True, "max_results": 10, "recency_bias": True}},
            {
                "type": "document_retrieval",
                "config": {
                    "library_id": os.environ.get("MISTRAL_LIBRARY_ID"),
                    "max_documents": 5,
                    "similarity_threshold": 0.7,
                },
            },
        ],
        completion_args={"temperature": 0.3, "top_p": 0.95, "max_tokens": 4096},
    )

    print(f"✅ Agent created: {agent.id}")
    return agent, client


def run_comprehensive_demo(agent: Any, client: Any) -> Any:
    """Demonstrate all connectors in one conversation"""

    # Start conversation
    conversation = client.beta.conversations.start(
        agent_id=agent.id,
        inputs="""
        I need a comprehensive analysis of renewable energy trends:

        1. Search web for latest 2025 renewable energy statistics
        2. Check our document library for our company's renewable energy strategy
        3. Calculate year-over-year growth rates from the data
        4. Generate a visualization showing trends
        5. Create an infographic summarizing key findings

        Provide a complete analysis with all sources cited.
        """,
    )

    print("\n=== Agent Response ===")
    print(conversation.outputs[-1].content)

    # Continue conversation (demonstrates persistent memory)
    follow_up = client.beta.conversations.append(
        conversation_id=conversation.id,
        inputs="Based on this analysis, what should our 2026 strategy focus on?",
    )

    print("\n=== Follow-up Response ===")
    print(follow_up.outputs[-1].content)

    # Return conversation ID for future sessions
    return conversation.id


def all_connectors(guide: Guide) -> tuple[Any, Any]:
    agent, client = create_comprehensive_agent()
    return client, agent


WORK = (
    call("web_search", {"query": "2025 renewable energy solar"}),
    call("library_search", {"query": "renewable energy strategy"}),
    call("code_interpreter", {"code": FIBONACCI}),
    call("generate_image", {"prompt": "an infographic of solar growth"}),
)


def test_9_the_complete_example(
    guide: Guide, scripted: ScriptedModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scripted.script(*WORK, say("Solar grows."), say("Focus on solar."))

    agent, client = create_comprehensive_agent()
    conversation_id = run_comprehensive_demo(agent, client)
    print(f"\n💾 Save this conversation ID: {conversation_id}")
    print("   Use it to resume this conversation anytime!")

    out = capsys.readouterr().out
    assert f"✅ Agent created: {agent.id}" in out
    assert "Solar grows." in out
    assert "Focus on solar." in out
    assert f"Save this conversation ID: {conversation_id}" in out
    assert guide.agent["completion_args"] == {"temperature": 0.3, "top_p": 0.95, "max_tokens": 4096}
    assert [tool["type"] for tool in guide.agent["tools"]] == [
        "code_interpreter",
        "image_generation",
        "web_search_premium",
        "document_library",
    ]
    history = client.conversations.get_history(conversation_id)
    assert history.stats().tools == {
        "web_search_premium": 1,
        "document_library": 1,
        "code_interpreter": 1,
        "image_generation": 1,
    }
    assert [call["stream"] for call in guide.bodies("/v1/conversations")] == [True], (
        "watched, since limits were asked for"
    )


def test_9_what_became_of_each_key(guide: Guide) -> None:
    create_comprehensive_agent()
    report = translate_tools(
        [
            {"type": "code_interpreter", "config": {"timeout": 30, "max_iterations": 5}},
            {"type": "image_generation", "config": {"model": "flux-1.1-pro-ultra", "default_size": "1024x1024"}},
            {"type": "web_search", "config": {"enable_premium_sources": True, "max_results": 10, "recency_bias": True}},
            {
                "type": "document_retrieval",
                "config": {"library_id": guide.library_id, "max_documents": 5, "similarity_threshold": 0.7},
            },
        ]
    ).report
    assert {(row.tool, row.key): row.status for row in report} == {
        ("code_interpreter", "timeout"): "enforced",
        ("code_interpreter", "max_iterations"): "enforced",
        ("image_generation", "model"): "impossible",
        ("image_generation", "default_size"): "hinted",
        ("web_search", "enable_premium_sources"): "enforced",
        ("web_search", "max_results"): "enforced",
        ("web_search", "recency_bias"): "hinted",
        ("document_retrieval", "type"): "enforced",
        ("document_retrieval", "library_id"): "enforced",
        ("document_retrieval", "max_documents"): "hinted",
        ("document_retrieval", "similarity_threshold"): "hinted",
    }


def test_9_without_a_library_in_the_environment_it_says_so(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_LIBRARY_ID")
    with pytest.raises(MissingLibraryError, match="library_id is None"):
        create_comprehensive_agent()


def test_a_quota_that_runs_out_is_a_typed_error_and_the_conversation_goes_on(
    standin_factory: Any, scripted: ScriptedModel
) -> None:
    served = standin_factory(model_url=scripted.url, quotas=[Quota("web_search", 1)])
    client = Mistral(api_key="k", base_url=served.base_url, max_retries=0)
    scripted.script(call("web_search", {"query": "x"}), say("found"), say("later"))
    conversation = Conversation(client, model="m", tools=[{"type": "web_search"}])
    conversation.append("search")
    with pytest.raises(RateLimitedError) as caught:
        conversation.append("search again")
    assert caught.value.wait_at_most is not None
    assert 0 < caught.value.wait_at_most <= 60
    assert caught.value.conversation_id == conversation.id
    served.faults.app.state
    assert [entry.type for entry in conversation.history().entries].count("message.input") == 1
